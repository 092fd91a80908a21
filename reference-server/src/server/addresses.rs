//! Bounds the open connections of each address, so that no client can hold them all.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use stockade_core::client::{ClientBucket, ClientIp, PeerAddr, TrustedProxies};
use tokio::time::Instant;

use crate::{Config, StartError};

/// Connections that were closed at once because their address had the maximum.
pub(super) const REFUSED: &str = "stockade_connections_refused_total";

/// The interval of warnings: each connection would be a line otherwise.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// The open connections by address; an IPv6 address stands for its prefix. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Addresses(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    maximum: usize,
    v6_length: u8,
    /// Many clients share the address of a proxy.
    proxies: TrustedProxies,
    /// Only addresses with connections, so it is bounded by their number.
    open: Mutex<HashMap<ClientBucket, usize>>,
    warned: Mutex<Option<Instant>>,
}

impl Addresses {
    /// The bound of the configuration; half of all connections by default.
    pub(super) fn from_config(
        config: &Config,
        max_connections: usize,
        proxies: TrustedProxies,
    ) -> Result<Self, StartError> {
        let client_ip = &config.fence.client_ip;
        let maximum = match config.server.max_connections_per_address {
            Some(maximum) => usize::try_from(maximum.get()).unwrap_or(usize::MAX),
            // All peers are proxies.
            None if client_ip.dangerous_trusted_proxy_count > Some(0) => usize::MAX,
            None => max_connections.div_ceil(2),
        };
        let v6_length = client_ip.ipv6_prefix();
        let v6_length = v6_length.map_err(|error| StartError::new(error.to_string()))?;
        Ok(Self::new(maximum, v6_length, proxies))
    }

    fn new(maximum: usize, v6_length: u8, proxies: TrustedProxies) -> Self {
        Self(Arc::new(Inner {
            maximum,
            v6_length,
            proxies,
            open: Mutex::default(),
            warned: Mutex::default(),
        }))
    }

    /// Counts a connection until the result is dropped; `None` if its address has the maximum.
    pub(super) fn admit(&self, peer: SocketAddr) -> Option<AddressGuard> {
        if self.0.proxies.trusts(peer.ip()) {
            return Some(AddressGuard(None));
        }
        let client = ClientIp::from(PeerAddr::from(peer));
        let bucket = client.bucket(self.0.v6_length);
        let mut open = lock(&self.0.open);
        let count = open.entry(bucket).or_default();
        if *count >= self.0.maximum {
            drop(open);
            self.refused(client);
            return None;
        }
        *count += 1;
        Some(AddressGuard(Some((Arc::clone(&self.0), bucket))))
    }

    fn refused(&self, client: ClientIp) {
        metrics::counter!(REFUSED).increment(1);
        let now = Instant::now();
        let mut warned = lock(&self.0.warned);
        if warned.is_none_or(|at| now - at >= WARNING_INTERVAL) {
            *warned = Some(now);
            tracing::warn!(
                %client,
                maximum = self.0.maximum,
                "closed a connection of an address that has too many; if many clients share it, \
                 raise server.max_connections_per_address, or list the proxy in \
                 client_ip.trusted_proxies"
            );
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while a lock is held.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open connection of an address.
#[derive(Debug)]
pub(super) struct AddressGuard(Option<(Arc<Inner>, ClientBucket)>);

impl Drop for AddressGuard {
    fn drop(&mut self) {
        let Some((inner, bucket)) = self.0.take() else {
            return;
        };
        let mut open = lock(&inner.open);
        if let Entry::Occupied(mut entry) = open.entry(bucket) {
            *entry.get_mut() -= 1;
            if *entry.get() == 0 {
                entry.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use stockade_core::client::ForwardingHeader;

    use super::*;

    fn addresses() -> Addresses {
        let proxy = "192.0.2.0/24".parse().unwrap();
        Addresses::new(
            2,
            64,
            TrustedProxies::new(ForwardingHeader::XForwardedFor, [proxy]),
        )
    }

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    // FA11
    #[test]
    fn bounds_the_connections_of_an_address() {
        let addresses = addresses();
        for [one, same, other] in [
            ["10.0.0.1", "::ffff:10.0.0.1", "10.0.0.2"],
            ["2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"],
        ] {
            let first = addresses.admit(peer(one)).unwrap();
            let _second = addresses.admit(peer(same)).unwrap();
            assert!(addresses.admit(peer(one)).is_none());
            assert!(addresses.admit(peer(other)).is_some());
            drop(first);
            assert!(addresses.admit(peer(same)).is_some());
        }
    }

    #[test]
    fn does_not_bound_trusted_proxies() {
        let addresses = addresses();
        let open: Vec<_> = (0..10)
            .map(|_| addresses.admit(peer("192.0.2.1")))
            .collect();
        assert!(open.iter().all(Option::is_some));
    }

    #[test]
    fn forgets_addresses_without_connections() {
        let addresses = addresses();
        drop(addresses.admit(peer("10.0.0.1")));
        assert!(lock(&addresses.0.open).is_empty());
    }
}
