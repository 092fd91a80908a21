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
use criterion::{Criterion, criterion_group, criterion_main};
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

/// The same fields by `tracing`.
fn traced(count: u64) {
    tracing::info!(
        request_id = %format_args!("{count:032x}"),
        method = "POST",
        path = "/v1/chat/completions",
        route = "/v1/chat/completions",
        ip = "203.0.113.7",
        user = "team-core",
        status = 200,
        latency_ms = 0.012,
        outcome = "completed",
        bytes_in = 0,
        bytes_out = 0,
        model = "Qwen2.5-VL-7B",
        prompt_tokens = 812,
        completion_tokens = 97,
        "request completed"
    );
}

/// The least of several times that something takes, in nanoseconds each.
fn least(rounds: usize, each: u64, mut run: impl FnMut()) -> f64 {
    let times = (0..rounds).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_nanos() as f64 / each as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

const EACH: u64 = 20_000;

/// Nanoseconds of one of 256 runs, by the tenth percentile of many rounds: other work on
/// the machine only ever adds to them.
fn nanoseconds<T>(prepare: impl Fn() -> T, mut run: impl FnMut(T)) -> f64 {
    const ROUND: usize = 256;
    let mut times: Vec<_> = (0..1_000)
        .map(|_| {
            let round: Vec<_> = (0..ROUND).map(|_| prepare()).collect();
            let start = Instant::now();
            round.into_iter().for_each(&mut run);
            start.elapsed().as_nanos() as f64 / ROUND as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 10]
}

/// Nanoseconds of a record over a service without one.
fn record_ns(chained: bool) -> f64 {
    let log = AuditLog::new(journal(Nowhere, chained).start().unwrap());
    let (mut with, mut without) = (audited(log), bare());
    nanoseconds(request, |request| run(&mut with, request))
        - nanoseconds(request, |request| run(&mut without, request))
}

fn tracing_ns(folder: &Path) -> f64 {
    let file = tracing_appender::rolling::never(folder, "tracing.log");
    let builder = tracing_appender::non_blocking::NonBlockingBuilder::default();
    let (writer, _guard) = builder.lossy(false).finish(file);
    let subscriber = tracing_subscriber::fmt()
        .json()
        .with_writer(writer)
        .finish();
    tracing::subscriber::with_default(subscriber, || nanoseconds(|| 7, traced))
}

/// Nanoseconds a record takes to get to a file, by one thread that makes nothing else.
fn file_ns(path: &Path, chained: bool) -> f64 {
    let journal = journal(FileSink::open(path).unwrap().rotated_elsewhere(), chained);
    let log = AuditLog::new(journal.start().unwrap());
    let mut service = audited(log.clone());
    let mut best = f64::INFINITY;
    for _ in 0..20 {
        let mut spent = Duration::ZERO;
        for _ in 0..EACH / 1_000 {
            let requests: Vec<_> = (0..1_000).map(|_| request()).collect();
            let start = Instant::now();
            requests
                .into_iter()
                .for_each(|request| run(&mut service, request));
            spent += start.elapsed();
        }
        let start = Instant::now();
        log.flush(Duration::from_secs(60)).unwrap();
        spent += start.elapsed();
        best = best.min(spent.as_nanos() as f64 / EACH as f64);
    }
    best
}

/// The same number of lines, made before, by `write` of 64 KiB.
fn write_ns(path: &Path, line: &str) -> f64 {
    let lines = line.repeat(64 * 1_024 / line.len());
    let each = (lines.len() / line.len()) as u64 * 2_000;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .unwrap();
    least(5, each, || {
        for _ in 0..2_000 {
            file.write_all(lines.as_bytes()).unwrap();
        }
        file.set_len(0).unwrap();
    })
}

fn ratios(_criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let (plain, chained) = (record_ns(false), record_ns(true));
    let tracing = tracing_ns(folder.path());
    println!("a record: {plain:.0} ns, chained {chained:.0} ns; tracing JSON {tracing:.0} ns");
    println!(
        "ratio: {:.3}, chained {:.3}",
        plain / tracing,
        chained / tracing
    );

    let path = folder.path().join("plain.log");
    let to_file = file_ns(&path, false);
    let text = std::fs::read_to_string(&path).unwrap();
    let line = format!("{}\n", text.lines().nth(1_000).unwrap());
    let sealed = file_ns(&folder.path().join("chained.log"), true);
    let write = write_ns(&folder.path().join("write.log"), &line);
    println!("{} bytes a record, {line}", line.len());
    println!(
        "records/s to a file: {:.2} M, chained {:.2} M; write() alone {:.2} M",
        1_000.0 / to_file,
        1_000.0 / sealed,
        1_000.0 / write
    );
}

fn record(criterion: &mut Criterion) {
    for (name, chained) in [("record", false), ("record, chained", true)] {
        let mut service = audited(AuditLog::new(journal(Nowhere, chained).start().unwrap()));
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                request,
                |request| run(&mut service, request),
                criterion::BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, ratios, record);
criterion_main!(benches);
