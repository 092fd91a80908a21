//! Where a request comes from: peers, trusted proxies and client addresses.

mod forwarded;
mod ip;
mod prefix;

pub use ip::{ClientBucket, ClientIp, ForwardingHeader, PeerAddr, TrustedProxies};
pub use prefix::{IpPrefix, IpPrefixError};
