#![allow(warnings)]
//! What a record costs, and how fast records get to a file.
//!
//! Prints the ratios of the same run: a record ÷ one of `tracing`'s JSON through a
//! non-blocking writer, and records to a file ÷ the same bytes by `write` alone.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::print_stdout, reason = "the figures are for a reader")]
#![allow(missing_docs, reason = "criterion makes the functions")]

use std::{
    convert::Infallible,
    fs::OpenOptions,
    hint::black_box,
    io::{self, Write},
    net::SocketAddr,
    path::Path,
    task::{Context, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use stockade_audit::{
    AuditLayer, AuditLog, Batch, ChainKey, FileSink, Fsync, Journal, JournalBuilder, Overflow, Sink,
};
use stockade_core::{
    ClientIp, Demand, MatchedRoute, PeerAddr, Principal, RequestContext, RequestId, Usage,
};
use tower::{Layer, Service};

type Body = Full<Bytes>;

/// Takes the records and forgets them.
struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        black_box(batch.bytes());
        Ok(())
    }
}

fn key() -> ChainKey {
    ChainKey::new("k1", [7; 32]).unwrap()
}

fn journal(sink: impl Sink, chained: bool) -> JournalBuilder {
    let overflow = Overflow::Block {
        at_most: Duration::from_secs(60),
    };
    let builder = Journal::builder(sink, overflow)
        .fsync(Fsync::Never)
        .capacity(64 << 20);
    if chained {
        builder.chain(key())
    } else {
        builder
    }
}

fn request() -> Request<Body> {
    let peer = SocketAddr::from(([203, 0, 113, 7], 4711));
    let client = ClientIp::of(
        Request::builder()
            .extension(PeerAddr::from(peer))
            .body(())
            .unwrap()
            .extensions(),
    )
    .unwrap();
    let context = RequestContext::new(RequestId::next(), client);
    context.authenticate(Principal::builder("team-core").build());
    context.set_demand(Demand::new(Some("Qwen2.5-VL-7B".into()), 812, Some(256)));
    context.set_usage(Usage {
        prompt_tokens: 812,
        completion_tokens: 97,
    });
    Request::post("/v1/chat/completions")
        .extension(context)
        .extension(MatchedRoute::new("/v1/chat/completions"))
        .body(Body::default())
        .unwrap()
}

/// Runs a request through a service that is always ready.
fn run<S>(service: &mut S, request: Request<Body>)
where
    S: Service<Request<Body>, Error = Infallible>,
{
    let future = std::pin::pin!(service.call(request));
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready());
    drop(polled);
}

fn audited(log: AuditLog) -> impl Service<Request<Body>, Error = Infallible> {
    AuditLayer::new(log).layer(tower::service_fn(|_| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::default())))
    }))
}

fn bare() -> impl Service<Request<Body>, Error = Infallible> {
    tower::service_fn(|_: Request<Body>| {
        std::future::ready(Ok::<_, Infallible>(Response::new(Body::default())))
    })
}

fn main() {
    let n: u64 = std::env::args().nth(1).unwrap().parse().unwrap();
    let which = std::env::args().nth(2).unwrap();
    let reqs: Vec<_> = (0..n).map(|_| request()).collect();
    let start = Instant::now();
    if which == "bare" {
        let mut s = bare();
        reqs.into_iter().for_each(|r| run(&mut s, r));
    } else {
        let j = journal(Nowhere, which == "chained")
            .linger(Duration::from_millis(1))
            .start()
            .unwrap();
        let log = AuditLog::new(j);
        let mut s = audited(log.clone());
        let log2 = log.clone();
        let mut k = 0;
        reqs.into_iter().for_each(|r| {
            run(&mut s, r);
            k += 1;
            if k % 100 == 0 {
                log2.flush(Duration::from_secs(5)).unwrap();
            }
        });
    }
    println!("{which} {} ns", start.elapsed().as_nanos() as u64 / n);
}
