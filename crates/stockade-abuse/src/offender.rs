//! Offenders: networks and principals.

use std::{error::Error, fmt, net::IpAddr, str::FromStr, sync::Arc};

use stockade_core::client::{ClientBucket, ClientIp, IpPrefix};

/// The subject of an offence or ban: a network or a principal.
///
/// Text forms: `192.0.2.1`, `2001:db8::/64`, `key:team-core`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Offender {
    /// All clients of a network, such as one IPv4 address or an IPv6 prefix.
    Network(IpPrefix),
    /// An authenticated principal, never an unverified id.
    Principal(Arc<str>),
}

/// The maximum length of a principal id, in bytes.
const MAX_ID: usize = 256;

impl Offender {
    /// Returns the network of a client; `None` for a Unix socket, which all clients behind a
    /// local proxy share.
    pub fn client(client: ClientIp, v6_length: u8) -> Option<Self> {
        match client.bucket(v6_length) {
            ClientBucket::Ip(network) => Some(Self::Network(network)),
            ClientBucket::UnixSocket => None,
        }
    }

    /// Creates an offender from the id of a principal.
    ///
    /// # Errors
    /// Fails if the id is empty, longer than 256 bytes, or contains spaces, `#` or control
    /// characters, because a deny-list cannot contain it.
    pub fn principal(id: &str) -> Result<Self, OffenderError> {
        let fits = (1..=MAX_ID).contains(&id.len());
        let readable = !id.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control());
        if fits && readable {
            Ok(Self::Principal(id.into()))
        } else {
            Err(OffenderError(Problem::Id))
        }
    }

    /// Creates an offender from a network, unless it is too wide.
    ///
    /// # Errors
    /// Fails if the network is wider than `/8` (IPv4) or `/16` (IPv6).
    pub fn network(network: IpPrefix) -> Result<Self, OffenderError> {
        let narrowest = match network.address() {
            IpAddr::V4(_) => 8,
            IpAddr::V6(_) => 16,
        };
        if network.length() < narrowest {
            return Err(OffenderError(Problem::Wide));
        }
        Ok(Self::Network(network))
    }
}

impl FromStr for Offender {
    type Err = OffenderError;

    fn from_str(text: &str) -> Result<Self, OffenderError> {
        if let Some(id) = text.strip_prefix("key:") {
            return Self::principal(id);
        }
        let network = text.parse();
        Self::network(network.map_err(|_| OffenderError(Problem::Text))?)
    }
}

impl fmt::Display for Offender {
    /// Omits the prefix length of a single address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(network) if *network == IpPrefix::host(network.address()) => {
                network.address().fmt(f)
            }
            Self::Network(network) => network.fmt(f),
            Self::Principal(id) => write!(f, "key:{id}"),
        }
    }
}

impl fmt::Debug for Offender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The error of parsing an [`Offender`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffenderError(Problem);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Problem {
    Text,
    Wide,
    Id,
}

impl fmt::Display for OffenderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Text => {
                "not an address, network or key; expected e.g. 192.0.2.1, 2001:db8::/64 or key:ID"
            }
            Problem::Wide => {
                "the network is too wide for a ban; the maximum is /8 for IPv4 and /16 for IPv6"
            }
            Problem::Id => {
                "the id of the key is empty, longer than 256 bytes, or contains spaces, # or control \
                 characters"
            }
        })
    }
}

impl Error for OffenderError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_text() {
        for text in ["192.0.2.1", "2001:db8::/64", "10.0.0.0/8", "key:team-core"] {
            assert_eq!(text.parse::<Offender>().unwrap().to_string(), text);
        }
        let mapped: Offender = "::ffff:192.0.2.1".parse().unwrap();
        assert_eq!(mapped.to_string(), "192.0.2.1");
    }

    // D07
    #[test]
    fn rejects_networks_that_are_too_wide() {
        for text in [
            "0.0.0.0/0",
            "::/0",
            "::ffff:0:0/96",
            "64.0.0.0/7",
            "2000::/3",
        ] {
            let error = text.parse::<Offender>().unwrap_err();
            assert!(error.to_string().contains("too wide"), "{text}");
        }
        for text in [
            "",
            "key:",
            "key:a b",
            "key:a#b",
            "10.0.0.9-10.0.0.1",
            "x",
            "1.2.3",
        ] {
            assert!(text.parse::<Offender>().is_err(), "{text}");
        }
    }
}
