//! Who is at the other end: the socket's peer, or what trusted proxies say.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Once,
};

use http::{HeaderMap, HeaderName};

use super::forwarded;
use crate::client::IpPrefix;

/// The socket's other end, as the server saw it.
///
/// A server puts it into the request's extensions; see
/// [`ContextGuard::peer`](crate::context::ContextGuard::peer) for one that keeps it elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerAddr {
    /// A TCP or QUIC peer.
    Ip(IpAddr),
    /// A Unix socket, which has no address.
    UnixSocket,
}

impl From<SocketAddr> for PeerAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Ip(address.ip())
    }
}

/// The client's address, by the rules of [`TrustedProxies`].
///
/// Normalised: IPv4-mapped (`::ffff:0:0/96`) and NAT64 (`64:ff9b::/96`, RFC 6052)
/// addresses are the IPv4 address they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientIp {
    /// An address.
    Ip(IpAddr),
    /// A client on a Unix socket that no trusted header names any further.
    UnixSocket,
}

impl ClientIp {
    /// The bucket that limits and bans count this client in.
    ///
    /// IPv4 addresses are a bucket each. IPv6 clients own whole networks, so they share
    /// the bucket of their prefix: 64 bits is usual, 48 to 128 make sense, and what is
    /// over 128 counts as 128.
    pub fn bucket(&self, v6_length: u8) -> ClientBucket {
        match *self {
            Self::Ip(IpAddr::V4(v4)) => ClientBucket::Ip(IpPrefix::host(v4.into())),
            Self::Ip(v6) => ClientBucket::Ip(IpPrefix::truncate(v6, v6_length.min(128))),
            Self::UnixSocket => ClientBucket::UnixSocket,
        }
    }

    fn normalised(address: IpAddr) -> Self {
        Self::Ip(normalise(address))
    }
}

impl From<PeerAddr> for ClientIp {
    fn from(peer: PeerAddr) -> Self {
        match peer {
            PeerAddr::Ip(address) => Self::normalised(address),
            PeerAddr::UnixSocket => Self::UnixSocket,
        }
    }
}

fn normalise(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => nat64(v6).map_or(IpAddr::V6(v6), IpAddr::V4),
        v4 => v4,
    }
}

/// Whether a client can have this address: not "this network" (`0.0.0.0/8`, `::`), not a
/// multicast group, not the broadcast address.
fn is_host(address: IpAddr) -> bool {
    match normalise(address) {
        IpAddr::V4(v4) => v4.octets()[0] != 0 && !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_multicast(),
    }
}

fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(Ipv4Addr::from_bits(address.to_bits() as u32)),
        _ => None,
    }
}

impl fmt::Display for ClientIp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::UnixSocket => f.write_str("unix"),
        }
    }
}

/// Clients that count as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientBucket {
    /// All addresses of a network.
    Ip(IpPrefix),
    /// All clients on Unix sockets.
    UnixSocket,
}

/// The one header in which a proxy names its client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ForwardingHeader {
    /// `X-Forwarded-For`: addresses, the nearest one last.
    XForwardedFor,
    /// `Forwarded` (RFC 7239): `for=` parameters, the nearest one last.
    Forwarded,
    /// A header that holds one address and that the proxy overwrites, such as `X-Real-IP`,
    /// `CF-Connecting-IP` or `True-Client-IP`. Where there are several, the last one counts.
    Single(HeaderName),
}

/// Which peers may name the client, and in which header.
///
/// The default trusts no peer: the client is the socket's peer, whatever it sends. With
/// trusted networks, the configured header is read from its right end, as long as the one
/// who wrote an entry is trusted; the first address that is not is the client. Entries to
/// the left of it were written by the client and are ignored.
/// An entry of a trusted proxy that is no address of a host (`unknown`, `0.0.0.0`, `::`, a
/// multicast address) ends the walk at that proxy.
///
/// ```
/// use http::HeaderMap;
/// use stockade_core::client::{ClientIp, ForwardingHeader, PeerAddr, TrustedProxies};
///
/// let proxies = TrustedProxies::new(
///     ForwardingHeader::XForwardedFor,
///     ["10.0.0.0/8".parse()?],
/// );
/// let mut headers = HeaderMap::new();
/// headers.insert("x-forwarded-for", "6.6.6.6, 203.0.113.7".parse()?);
///
/// // The proxy is believed, but only as far as it saw for itself.
/// let proxy = PeerAddr::Ip("10.0.0.1".parse()?);
/// assert_eq!(proxies.resolve(proxy, &headers), ClientIp::Ip("203.0.113.7".parse()?));
///
/// // A peer that is not trusted names no client.
/// let other = PeerAddr::Ip("198.51.100.9".parse()?);
/// assert_eq!(proxies.resolve(other, &headers), ClientIp::Ip("198.51.100.9".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies {
    header: Option<ForwardingHeader>,
    networks: Vec<IpPrefix>,
    unix_sockets: bool,
    /// How many proxies are trusted whatever their addresses are.
    hops: u8,
}

impl TrustedProxies {
    /// Trusts the peers in these networks to name their client in this header.
    pub fn new(header: ForwardingHeader, networks: impl IntoIterator<Item = IpPrefix>) -> Self {
        Self {
            header: Some(header),
            networks: networks.into_iter().collect(),
            unix_sockets: false,
            hops: 0,
        }
    }

    /// Trusts this number of proxies, the peer being the first of them, whatever their
    /// addresses are: Envoy's `xff_num_trusted_hops`.
    ///
    /// Dangerous: a client that reaches the server without the proxies chooses its own
    /// address. Use it only where no client can, and prefer [`new`](Self::new).
    pub fn dangerous_hops(header: ForwardingHeader, hops: u8) -> Self {
        Self {
            hops,
            ..Self::new(header, [])
        }
    }

    /// Also trusts a proxy on the other end of a Unix socket.
    pub fn unix_sockets(mut self) -> Self {
        self.unix_sockets = true;
        self
    }

    /// Whether this is the address of a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }

    /// The client behind this peer.
    pub fn resolve(&self, peer: PeerAddr, headers: &HeaderMap) -> ClientIp {
        let (peer, trusted) = match peer {
            PeerAddr::Ip(address) => (ClientIp::normalised(address), self.trusts(address)),
            PeerAddr::UnixSocket => (ClientIp::UnixSocket, self.unix_sockets),
        };
        let trusted = trusted || self.hops > 0;
        match &self.header {
            Some(header) if trusted => self.walk(peer, header, headers),
            _ => peer,
        }
    }

    fn walk(&self, peer: ClientIp, header: &ForwardingHeader, headers: &HeaderMap) -> ClientIp {
        let mut client = peer;
        let mut hops = self.hops;
        let mut visit = |hop: Option<IpAddr>| match hop.filter(|hop| is_host(*hop)) {
            Some(address) => {
                client = ClientIp::normalised(address);
                hops = hops.saturating_sub(1);
                hops > 0 || self.trusts(address)
            }
            None => {
                report_nameless(client);
                false
            }
        };
        match header {
            ForwardingHeader::XForwardedFor => forwarded::x_forwarded_for(headers, &mut visit),
            ForwardingHeader::Forwarded => forwarded::forwarded(headers, &mut visit),
            ForwardingHeader::Single(name) => {
                forwarded::single(headers, name, &mut visit);
            }
        }
        client
    }
}

/// Logs, once, that a trusted proxy does not name its client: all of its clients then
/// share limits and bans.
#[cold]
fn report_nameless(proxy: ClientIp) {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        tracing::warn!(
            %proxy,
            help = "let the proxy write the address of its client into the header",
            "a trusted proxy names no address of a client, so it is taken for the client itself; \
             all clients behind it share limits and bans"
        );
    });
}

#[cfg(test)]
mod tests;
