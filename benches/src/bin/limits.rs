//! What a rate limit costs with ten million clients, beside governor in the same run.
//!
//! Ours is the whole guard: it reads the client's address, decides, and prepares the
//! headers. governor's is its bare decision by address.

use std::{
    error::Error,
    fmt::Write as _,
    hint::black_box,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr},
    num::NonZeroU32,
    sync::Arc,
    thread,
    time::Instant,
};

use governor::DefaultKeyedRateLimiter;
use http::{Request, request::Parts};
use stockade_core::{Guard, PeerAddr};
use stockade_rate_limit::{By, Limit, Limits, MemoryLimitStore, Quota, RateLimit};

/// Nobody reaches it: what is measured is the way of those who pass.
const BURST: NonZeroU32 = NonZeroU32::new(1_000_000).unwrap();
const CLIENTS: [u32; 4] = [100, 10_000, 1_000_000, 10_000_000];
const CHECKS: u32 = 1_000_000;
const ROUNDS: usize = 5;
const THREADS: usize = 2;

type Ours = RateLimit<Arc<MemoryLimitStore>>;
type Governor = DefaultKeyedRateLimiter<IpAddr>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut out = String::from(
        "| clients | stockade, ns | governor, ns | stockade ÷ governor | bytes a client |\n\
         |---:|---:|---:|---:|---:|\n",
    );
    for clients in CLIENTS {
        let store = Arc::new(MemoryLimitStore::new(clients as usize));
        let ours = guard(&store)?;
        let governor = Governor::keyed(quota());
        let mut head = head();
        for client in 0..clients {
            pass(&ours, &mut head, client);
            black_box(governor.check_key(&address(client)).is_ok());
        }
        // Rounds in turns: a machine that slows down does so for both.
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS as u32 {
            a.push(nanos(|at| {
                pass(&ours, &mut head, scatter(at + round, clients))
            }));
            b.push(nanos(|at| {
                black_box(
                    governor
                        .check_key(&address(scatter(at + round, clients)))
                        .is_ok(),
                );
            }));
        }
        let (a, b) = (median(a), median(b));
        let bytes = store.bytes() as f64 / f64::from(clients);
        let ratio = a / b;
        writeln!(
            out,
            "| {clients} | {a:.0} | {b:.0} | {ratio:.2} | {bytes:.1} |"
        )?;
    }
    hot(&mut out)?;
    io::stdout().write_all(out.as_bytes())?;
    Ok(())
}

/// One client from two threads.
fn hot(out: &mut String) -> Result<(), Box<dyn Error>> {
    let store = Arc::new(MemoryLimitStore::new(1_000));
    let ours = guard(&store)?;
    let governor = Governor::keyed(quota());
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(together(|| {
            let mut head = head();
            (0..CHECKS).for_each(|_| pass(&ours, &mut head, 7));
        }));
        b.push(together(|| {
            for _ in 0..CHECKS {
                black_box(governor.check_key(&address(7)).is_ok());
            }
        }));
    }
    let (a, b) = (median(a), median(b));
    writeln!(
        out,
        "\nOne client, {THREADS} threads: {a:.0} ns a check, governor {b:.0} ns; {:.2} of its rate.",
        b / a
    )?;
    Ok(())
}

fn guard(store: &Arc<MemoryLimitStore>) -> Result<Ours, Box<dyn Error>> {
    let quota = Quota::new(BURST.get(), std::time::Duration::from_secs(3_600))?;
    let limit = Limit::new("ip", By::client_ip()).quota(quota);
    Ok(RateLimit::with_store(
        Limits::new([limit])?,
        Arc::clone(store),
    ))
}

fn quota() -> governor::Quota {
    governor::Quota::per_hour(BURST)
}

fn head() -> Parts {
    let mut request = Request::new(());
    request.extensions_mut().insert(PeerAddr::UnixSocket);
    request.into_parts().0
}

fn pass(guard: &Ours, head: &mut Parts, client: u32) {
    head.extensions.insert(PeerAddr::Ip(address(client)));
    black_box(guard.check(head));
}

fn address(client: u32) -> IpAddr {
    Ipv4Addr::from(0x0b00_0000 + client).into()
}

/// A client that is far from the one before it.
fn scatter(at: u32, clients: u32) -> u32 {
    at.wrapping_mul(2_654_435_761) % clients
}

fn nanos(mut check: impl FnMut(u32)) -> f64 {
    let start = Instant::now();
    (0..CHECKS).for_each(&mut check);
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS)
}

fn together(work: impl Fn() + Sync) -> f64 {
    let start = Instant::now();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(&work);
        }
    });
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CHECKS) / THREADS as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
