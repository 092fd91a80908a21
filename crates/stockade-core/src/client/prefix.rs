//! Address prefixes: trusted networks, allow-lists, and buckets of clients.

use std::{error::Error, fmt, net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net};

/// An IP network such as `10.0.0.0/8` or `2001:db8::/64`.
///
/// Host bits are cleared, and IPv4-mapped IPv6 addresses become IPv4, so two prefixes
/// are equal exactly when they hold the same addresses.
///
/// ```
/// use stockade_core::client::IpPrefix;
///
/// let network: IpPrefix = "10.1.2.3/8".parse()?;
/// assert_eq!(network.to_string(), "10.0.0.0/8");
/// assert!(network.contains("10.255.0.1".parse()?));
/// assert!("10.0.0.0/33".parse::<IpPrefix>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct IpPrefix(IpNet);

impl IpPrefix {
    /// The prefix of this length (in bits) that holds the address.
    ///
    /// # Errors
    /// When the length is over 32 for IPv4 or over 128 for IPv6.
    pub fn new(address: IpAddr, length: u8) -> Result<Self, IpPrefixError> {
        match IpNet::new(address, length) {
            Ok(net) => Ok(Self::canonical(net)),
            Err(_) => Err(IpPrefixError::new(format!("{address}/{length}"))),
        }
    }

    /// The prefix that holds just this address.
    pub fn host(address: IpAddr) -> Self {
        Self(address.to_canonical().into())
    }

    /// Clears the bits after `length`, which is at most the address's width.
    pub(crate) fn truncate(address: IpAddr, length: u8) -> Self {
        let net = IpNet::new(address, length);
        Self::canonical(net.expect("the length is at most the width of the address"))
    }

    /// Clears the host bits, and makes IPv4 of IPv4-mapped IPv6.
    fn canonical(net: IpNet) -> Self {
        let mapped = match net {
            IpNet::V6(v6) if v6.prefix_len() >= 96 => v6.addr().to_ipv4_mapped(),
            IpNet::V4(_) | IpNet::V6(_) => None,
        };
        Self(match mapped {
            Some(v4) => {
                let net = Ipv4Net::new(v4, net.prefix_len() - 96);
                IpNet::V4(net.expect("128 less 96 is the width").trunc())
            }
            None => net.trunc(),
        })
    }

    /// Whether the address lies in this network. `::ffff:10.0.0.1` lies in `10.0.0.0/8`.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }

    /// The network's first address.
    pub fn address(&self) -> IpAddr {
        self.0.addr()
    }

    /// The network's length in bits.
    pub fn length(&self) -> u8 {
        self.0.prefix_len()
    }
}

impl FromStr for IpPrefix {
    type Err = IpPrefixError;

    /// Reads `address` or `address/length`. Host bits may be set, and are cleared.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(address) = text.parse() {
            return Ok(Self::host(address));
        }
        match text.parse() {
            Ok(net) => Ok(Self::canonical(net)),
            Err(_) => Err(IpPrefixError::new(text.to_owned())),
        }
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An invalid network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpPrefixError {
    text: String,
}

impl IpPrefixError {
    fn new(text: String) -> Self {
        Self { text }
    }
}

impl fmt::Display for IpPrefixError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = &self.text;
        write!(
            f,
            "{text:?} is not an IP network; write an address, or a network such as 10.0.0.0/8 or \
             2001:db8::/32, with at most 32 bits for IPv4 and 128 for IPv6"
        )
    }
}

impl Error for IpPrefixError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_networks_and_addresses() {
        for (text, shown) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:db8::1/64", "2001:db8::/64"),
            ("::1", "::1/128"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.1.2.3/104", "10.0.0.0/8"),
        ] {
            assert_eq!(
                text.parse::<IpPrefix>().unwrap().to_string(),
                shown,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_invalid_networks() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/+8",
            "10.0.0.0/",
            "a/8",
            "10.0.0.0/256",
        ] {
            let error = text.parse::<IpPrefix>().unwrap_err();
            assert!(
                error.to_string().contains("is not an IP network"),
                "{text}: {error}"
            );
        }
    }

    proptest! {
        #[test]
        fn holds_the_addresses_that_share_its_bits(a: u32, b: u32, length in 0u8..=32) {
            let prefix = IpPrefix::new(IpAddr::V4(a.into()), length).unwrap();
            let same = length == 0 || (a ^ b) >> (32 - length) == 0;
            prop_assert_eq!(prefix.contains(IpAddr::V4(b.into())), same);
        }

        #[test]
        fn holds_the_v6_addresses_that_share_its_bits(a: u128, b: u128, length in 0u8..=128) {
            let prefix = IpPrefix::new(IpAddr::V6(a.into()), length).unwrap();
            let same = length == 0 || (a ^ b) >> (128 - u32::from(length)) == 0;
            prop_assert_eq!(prefix.contains(IpAddr::V6(b.into())), same);
        }
    }
}
