//! A rate limit with many clients, next to governor's.
//!
//! Ours is a whole guard with the head and the context of each request: it reads the client's
//! address, decides, and prepares the headers.
//! governor's is its bare decision by address. Our guard with a store that decides nothing
//! is measured, too: the difference between both guards is the decision.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::DefaultKeyedRateLimiter;
use http::Request;
use stockade_core::{
    client::PeerAddr,
    guard::{Check, Guard, Head},
};
use stockade_rate_limit::{
    Bucket, Decision, KeyExtractor, Limit, LimitStore, Limits, MemoryLimitStore, NoWait, Quota,
    QuotaStatus, RateLimit, StoreReply,
};

/// A limit that is never reached.
const BURST: NonZeroU32 = NonZeroU32::new(1_000_000_000).unwrap();
const PERIOD: Duration = Duration::from_secs(3_600);

/// Clients that both limits have seen.
pub struct Crowd {
    clients: u32,
    store: Arc<MemoryLimitStore>,
    ours: RateLimit<Arc<MemoryLimitStore>>,
    undecided: RateLimit<Undecided>,
    governor: DefaultKeyedRateLimiter<IpAddr>,
}

impl Crowd {
    /// A number of clients, each seen once by both.
    pub fn new(clients: u32) -> Self {
        let store = Arc::new(MemoryLimitStore::new(clients as usize));
        let crowd = Self {
            clients,
            ours: limit(Arc::clone(&store)),
            undecided: limit(Undecided),
            store,
            governor: DefaultKeyedRateLimiter::keyed(governor::Quota::per_hour(BURST)),
        };
        for client in 0..clients {
            pass(&crowd.ours, client);
            assert!(crowd.governor.check_key(&address(client)).is_ok());
        }
        crowd
    }

    /// Checks by our limit, in an order that scatters the clients.
    pub fn ours(&self) -> impl FnMut(u32) + Send + '_ {
        self.checks(&self.ours)
    }

    /// The same checks without a decision.
    pub fn undecided(&self) -> impl FnMut(u32) + Send + '_ {
        self.checks(&self.undecided)
    }

    fn checks<'a, S>(&self, limit: &'a RateLimit<S>) -> impl FnMut(u32) + Send + use<'a, S>
    where
        S: LimitStore,
    {
        let mut clients = scattered(self.clients);
        move |_| pass(limit, clients())
    }

    /// The same checks by governor.
    pub fn governor(&self) -> impl FnMut(u32) + Send + '_ {
        let mut clients = scattered(self.clients);
        move |_| {
            let address = address(clients());
            assert!(
                self.governor.check_key(&address).is_ok(),
                "no client is refused"
            );
        }
    }

    /// Bytes that our store uses for a client.
    pub fn bytes_a_client(&self) -> f64 {
        self.store.bytes() as f64 / f64::from(self.clients)
    }
}

impl fmt::Debug for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Crowd").field(&self.clients).finish()
    }
}

/// The share of its cap that a store uses after a flood of clients, a hundred times as many
/// as it has room for.
pub fn flooded(clients: u32) -> f64 {
    let store = Arc::new(MemoryLimitStore::new(clients as usize / 100));
    let limit = limit(Arc::clone(&store));
    for client in 0..clients {
        pass(&limit, client);
    }
    store.bytes() as f64 / store.max_bytes() as f64
}

/// Admits every client.
struct Undecided;

impl LimitStore for Undecided {
    type Wait = NoWait;

    fn take(&self, buckets: &[Bucket<'_>]) -> StoreReply<NoWait> {
        let status = QuotaStatus::new(1, PERIOD, Duration::ZERO);
        StoreReply::Ready(Ok(Decision::new(buckets.iter().map(|_| status))))
    }

    fn settle(&self, _bucket: &Bucket<'_>, _delta: i64) {}
}

fn limit<S>(store: S) -> RateLimit<S>
where
    S: LimitStore,
{
    let quota = Quota::new(BURST.get(), PERIOD).expect("neither is zero");
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(quota);
    let limits = Limits::new([limit]).expect("one limit");
    RateLimit::with_store(limits, store)
}

fn pass<S>(limit: &RateLimit<S>, client: u32)
where
    S: LimitStore,
{
    let mut request = Request::new(());
    let peer = PeerAddr::Ip(address(client));
    request.extensions_mut().insert(peer);
    // A head keeps its first client.
    let check = limit.check(&Head::new(request.into_parts().0));
    assert!(matches!(check, Check::Pass(_)), "no client is refused");
}

fn address(client: u32) -> IpAddr {
    Ipv4Addr::from(0x0b00_0000 + client).into()
}

/// Clients in an order that puts each far from the previous one.
fn scattered(clients: u32) -> impl FnMut() -> u32 {
    let mut at = 0_u32;
    move || {
        at = at.wrapping_add(1);
        at.wrapping_mul(2_654_435_761) % clients
    }
}
