//! Hosts on private networks.

use std::net::IpAddr;

/// Whether a host may be outside the machine's own network.
pub(crate) fn may_be_public(host: &str) -> bool {
    /// Names that are private by RFC 6762, RFC 8375, RFC 9476 or convention.
    const PRIVATE: [&str; 6] = [
        ".local",
        ".internal",
        ".lan",
        ".localhost",
        ".home.arpa",
        ".cluster.local",
    ];

    match host.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(ip)) => !(ip.is_loopback() || ip.is_private() || ip.is_link_local()),
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        Err(_) => {
            let host = host.trim_end_matches('.').to_ascii_lowercase();
            // Names without a dot are those of containers and of /etc/hosts.
            host.contains('.') && !PRIVATE.iter().any(|suffix| host.ends_with(suffix))
        }
    }
}
