//! `[client_ip]`: who says where requests come from.

use serde::Deserialize;
use stockade_core::client::{ForwardingHeader, IpPrefix, TrustedProxies};

use super::{ConfigError, value};

/// `[client_ip]`: which proxies are believed when they name their client. Nobody is, by
/// default: the client is whoever opened the connection.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientIpConfig {
    /// Networks of proxies, such as `10.0.0.0/8`.
    #[serde(deserialize_with = "value::list")]
    pub trusted_proxies: Vec<IpPrefix>,
    /// The one header they use: `x-forwarded-for`, `forwarded`, or one that holds a
    /// single address, such as `x-real-ip`, of which the last value counts. Must be said where
    /// there are proxies.
    pub header: Option<String>,
    /// Trusts so many proxies, whatever their addresses are. Only for servers that nobody
    /// reaches past the proxies; networks are better.
    pub dangerous_trusted_proxy_count: Option<u8>,
    /// The length of the prefix that limits and bans count an IPv6 client by, from 48 to
    /// 128; 64 by default. Providers give whole networks to one client.
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
    /// The checked [`ipv6_prefix`](Self::ipv6_prefix).
    ///
    /// # Errors
    /// When it is not from 48 to 128.
    pub fn ipv6_prefix(&self) -> Result<u8, ConfigError> {
        match self.ipv6_prefix {
            length @ 48..=128 => Ok(length),
            length => Err(ConfigError::setting(
                "client_ip.ipv6_prefix",
                format!("{length} is not from 48 to 128"),
            )
            .help("64 is usual; 56 or 48 count all networks of one customer of a provider as one")),
        }
    }

    /// The proxies that are believed.
    ///
    /// # Errors
    /// When only one half of it is said: whose header, or which.
    pub fn proxies(&self) -> Result<TrustedProxies, ConfigError> {
        let count = self.dangerous_trusted_proxy_count.unwrap_or(0);
        let nobody = self.trusted_proxies.is_empty() && count == 0;
        let header = match self.header.as_deref() {
            None if nobody => return Ok(TrustedProxies::default()),
            None => {
                return Err(ConfigError::setting(
                    "client_ip",
                    "proxies are trusted, but client_ip.header is not set",
                )
                .help("set the header that they use, such as \"x-forwarded-for\""));
            }
            Some(_) if nobody => {
                return Err(ConfigError::setting(
                    "client_ip.header",
                    "is set, but not client_ip.trusted_proxies",
                )
                .help("name the networks of the proxies, such as [\"10.0.0.0/8\"]"));
            }
            Some(name) if name.eq_ignore_ascii_case("x-forwarded-for") => {
                ForwardingHeader::XForwardedFor
            }
            Some(name) if name.eq_ignore_ascii_case("forwarded") => ForwardingHeader::Forwarded,
            Some(name) => ForwardingHeader::Single(name.parse().map_err(|_| {
                ConfigError::setting("client_ip.header", format!("{name:?} is no header name"))
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
                "client_ip.trusted_proxies is set, too",
            )
            .help("remove the count and keep the networks")),
        }
    }
}
