//! `[client_ip]`: trusted proxies and the client's address.

use serde::Deserialize;
use stockade_core::client::{ForwardingHeader, IpPrefix, TrustedProxies};

use super::{ConfigError, value};

/// `[client_ip]`: proxies whose forwarding header is trusted. None by default: the client
/// address is the peer address of the connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ClientIpConfig {
    /// Networks of proxies, such as `10.0.0.0/8`.
    #[serde(deserialize_with = "value::list")]
    pub trusted_proxies: Vec<IpPrefix>,
    /// The forwarding header of the proxies: `x-forwarded-for`, `forwarded`, or one that holds
    /// a single address, such as `x-real-ip`, of which the last value is used. Required with
    /// proxies.
    pub header: Option<String>,
    /// The number of proxies to trust, whatever their addresses are. Only for servers that
    /// clients cannot reach directly; prefer `trusted_proxies`.
    pub dangerous_trusted_proxy_count: Option<u8>,
    /// The length of the IPv6 prefix that limits and bans treat as one client, from 48 to 128;
    /// 64 by default. Providers assign whole networks to one client.
    pub ipv6_prefix: u8,
}

impl Default for ClientIpConfig {
    fn default() -> Self {
        Self {
            trusted_proxies: Vec::new(),
            header: None,
            dangerous_trusted_proxy_count: None,
            ipv6_prefix: 64,
        }
    }
}

impl ClientIpConfig {
    /// The validated [`ipv6_prefix`](Self::ipv6_prefix).
    ///
    /// # Errors
    /// When it is not between 48 and 128.
    pub fn ipv6_prefix(&self) -> Result<u8, ConfigError> {
        match self.ipv6_prefix {
            length @ 48..=128 => Ok(length),
            length => Err(ConfigError::setting(
                "client_ip.ipv6_prefix",
                format!("{length} is not between 48 and 128"),
            )
            .help("64 is usual; 56 or 48 treat all networks of one customer of a provider as one")),
        }
    }

    /// The trusted proxies.
    ///
    /// # Errors
    /// When only one of the proxies and the header is set.
    pub fn proxies(&self) -> Result<TrustedProxies, ConfigError> {
        let count = self.dangerous_trusted_proxy_count.unwrap_or(0);
        let no_proxies = self.trusted_proxies.is_empty() && count == 0;
        let header = match self.header.as_deref() {
            None if no_proxies => return Ok(TrustedProxies::default()),
            None => {
                return Err(ConfigError::setting(
                    "client_ip",
                    "proxies are trusted, but client_ip.header is not set",
                )
                .help("set client_ip.header to the header of the proxies: \"x-forwarded-for\""));
            }
            Some(_) if no_proxies => {
                return Err(ConfigError::setting(
                    "client_ip.header",
                    "is set, but client_ip.trusted_proxies is not",
                )
                .help(
                    "set client_ip.trusted_proxies to the networks of the proxies, such as \
                     [\"10.0.0.0/8\"]",
                ));
            }
            Some(name) if name.eq_ignore_ascii_case("x-forwarded-for") => {
                ForwardingHeader::XForwardedFor
            }
            Some(name) if name.eq_ignore_ascii_case("forwarded") => ForwardingHeader::Forwarded,
            Some(name) => ForwardingHeader::Single(name.parse().map_err(|_| {
                ConfigError::setting("client_ip.header", format!("{name:?} is not a header name"))
            })?),
        };
        match (count, self.trusted_proxies.is_empty()) {
            (0, _) => {
                let networks = self.trusted_proxies.iter().copied();
                Ok(TrustedProxies::new(header, networks))
            }
            (count, true) => Ok(TrustedProxies::dangerous_hops(header, count)),
            (_, false) => Err(ConfigError::setting(
                "client_ip.dangerous_trusted_proxy_count",
                "cannot be combined with client_ip.trusted_proxies",
            )
            .help("remove client_ip.dangerous_trusted_proxy_count")),
        }
    }
}
