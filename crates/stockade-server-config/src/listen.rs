//! Listen addresses.

use std::net::SocketAddr;

use serde::{Deserialize, Deserializer, de::Error};

/// Parses a listen address: `127.0.0.1:8000`, `0.0.0.0:8000`, `[::1]:8000`, or `localhost:8000`
/// for `127.0.0.1:8000`. Other host names are invalid: a listen address must not depend on DNS.
///
/// # Errors
/// When the address is invalid; the error has examples.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let address = match text.split_once(':') {
        Some(("localhost", port)) => format!("127.0.0.1:{port}"),
        _ => text.to_owned(),
    };
    address.parse().map_err(|_| {
        format!(
            "{text:?} is not an IP address with a port; use for example 127.0.0.1:8000, \
             localhost:8000, [::1]:8000, or 0.0.0.0:8000 for all addresses of this machine"
        )
    })
}

pub(crate) fn deserialize<'de, D>(deserializer: D) -> Result<SocketAddr, D::Error>
where
    D: Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    listen_address(&text).map_err(D::Error::custom)
}

pub(crate) fn deserialize_optional<'de, D>(deserializer: D) -> Result<Option<SocketAddr>, D::Error>
where
    D: Deserializer<'de>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    let address = text.map(|text| listen_address(&text)).transpose();
    address.map_err(D::Error::custom)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    // FS09
    #[test]
    fn accepts_localhost_but_no_other_host_name() {
        for (text, address) in [
            ("localhost:8000", "127.0.0.1:8000"),
            ("0.0.0.0:1", "0.0.0.0:1"),
            ("[::1]:8000", "[::1]:8000"),
        ] {
            assert_eq!(listen_address(text).unwrap().to_string(), address);
        }
        for text in ["localhost", ":8000", "8000", "example.com:8000", "::1:x"] {
            let error = listen_address(text).unwrap_err();
            assert!(error.contains("127.0.0.1:8000"), "{error}");
        }
    }
}
