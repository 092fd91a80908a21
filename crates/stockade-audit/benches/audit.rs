//! The cost of a record, and the throughput of the journal to a file.
//!
//! Prints the ratios of one run:
//! - a record ÷ a JSON line of `tracing` through a non-blocking writer;
//! - the throughput of the journal to a file, from the first write to the end of the last
//!   one, ÷ `write` alone of the same batches to a file in the same directory, without syncs.
//!   With a chain, also ÷ `write` plus SHA-256 of the batches, the minimum cost of a chain;
//! - the records per second that one thread creates and the journal writes to a file.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::print_stdout, reason = "the figures are for a reader")]
#![allow(missing_docs, reason = "criterion makes the functions")]

mod support;

use std::{
    fs::{self, File, OpenOptions},
    hint::black_box,
    io::{self, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use sha2::{Digest, Sha256};
use stockade_audit::{AuditLog, Batch, FileSink, Sink};
use support::{Client, Nowhere, audited, bare, journal, run};

const LONG: Duration = Duration::from_secs(60);

/// Emits the same fields with `tracing`.
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
        ttfb_ms = 0.012,
        outcome = "completed",
        bytes_in = 60,
        bytes_out = 2,
        model = "Qwen2.5-VL-7B",
        prompt_tokens = 812,
        completion_tokens = 97,
        "request completed"
    );
}

/// Returns the nanoseconds per run: the tenth percentile of many rounds of 256 runs, since
/// other load only adds time.
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

/// Returns the nanoseconds that a record adds to a service.
fn record_ns(chained: bool) -> f64 {
    let client = Client::new();
    let log = AuditLog::new(journal(Nowhere, chained).start().unwrap());
    let (mut with, mut without) = (audited(log), bare());
    let request = || client.request();
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

/// A file sink that waits for a gate and measures its writes.
struct Held {
    file: FileSink,
    door: Arc<Mutex<Passed>>,
}

/// The writes since the gate opened.
#[derive(Default)]
struct Passed {
    lengths: Vec<usize>,
    /// The start of the first write, and the end of the last one.
    times: Option<(Instant, Instant)>,
}

impl Sink for Held {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let mut passed = self.door.lock().unwrap();
        passed.lengths.push(batch.bytes().len());
        let now = Instant::now();
        let (first, _) = passed.times.unwrap_or((now, now));
        let written = self.file.write(batch);
        passed.times = Some((first, Instant::now()));
        written
    }

    fn store_head(&mut self, head: &str) -> io::Result<()> {
        self.file.store_head(head)
    }
}

/// The number of records per round.
const EACH: usize = 20_000;

/// Nanoseconds per record, the minimum of several rounds.
#[derive(Clone, Copy)]
struct FileRate {
    /// From the journal's buffer to the file.
    journal: f64,
    /// The same bytes in the same batches with `write` alone.
    write: f64,
    /// SHA-256 of the same batches alone.
    hash: f64,
    /// Created by one thread and written to the file.
    made: f64,
}

fn file_rate(folder: &Path, chained: bool) -> FileRate {
    let path = folder.join(format!("journal-{chained}.log"));
    let door = Arc::new(Mutex::new(Passed::default()));
    let sink = Held {
        file: FileSink::open(&path).unwrap().external_rotation(),
        door: Arc::clone(&door),
    };
    let log = AuditLog::new(journal(sink, chained).start().unwrap());
    let (client, mut service) = (Client::new(), audited(log.clone()));
    let mut raw = open(&folder.join("write.log"));
    let each = |time: Duration| time.as_nanos() as f64 / EACH as f64;
    let mut rate = FileRate {
        journal: f64::INFINITY,
        write: f64::INFINITY,
        hash: f64::INFINITY,
        made: f64::INFINITY,
    };
    for _ in 0..20 {
        let requests: Vec<_> = (0..EACH).map(|_| client.request()).collect();
        let mut held = door.lock().unwrap();
        *held = Passed::default();
        let start = Instant::now();
        let send = |request| run(&mut service, request);
        requests.into_iter().for_each(send);
        let making = each(start.elapsed());
        // Truncate both files first, so that they reuse the same memory.
        open(&path).set_len(0).unwrap();
        let start = Instant::now();
        drop(held);
        log.flush(LONG).unwrap();
        rate.made = rate.made.min(making + each(start.elapsed()));
        let passed = std::mem::take(&mut *door.lock().unwrap());
        let (first, last) = passed.times.unwrap();
        rate.journal = rate.journal.min(each(last - first));

        let text = fs::read(&path).unwrap();
        let mut rest = &*text;
        let pieces = passed.lengths.iter().map(|length| {
            let (piece, after) = rest.split_at(*length);
            rest = after;
            piece
        });
        let pieces: Vec<_> = pieces.collect();
        raw.set_len(0).unwrap();
        let start = Instant::now();
        pieces
            .iter()
            .for_each(|piece| raw.write_all(piece).unwrap());
        rate.write = rate.write.min(each(start.elapsed()));
        let start = Instant::now();
        pieces
            .iter()
            .for_each(|piece| _ = black_box(Sha256::digest(piece)));
        rate.hash = rate.hash.min(each(start.elapsed()));
    }
    rate
}

fn open(path: &Path) -> File {
    let mut options = OpenOptions::new();
    options.append(true).create(true).open(path).unwrap()
}

fn ratios(_criterion: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let tracing = tracing_ns(folder.path());
    println!("tracing JSON: {tracing:.0} ns");
    println!(
        "| | ns a record | ÷ tracing JSON | file rate ÷ write() | ÷ write() and SHA-256 | M records/s of one thread |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for (name, chained) in [("a record", false), ("a record, chained", true)] {
        let record = record_ns(chained);
        let FileRate {
            journal,
            write,
            hash,
            made,
        } = file_rate(folder.path(), chained);
        let least = match chained {
            true => format!("{:.2} ({hash:.0} ns more)", (write + hash) / journal),
            false => "–".to_owned(),
        };
        println!(
            "| {name} | {record:.0} | {:.3} | {:.2} ({write:.0} ns ÷ {journal:.0} ns) | {least} | {:.2} |",
            record / tracing,
            write / journal,
            1_000.0 / made
        );
    }
}

fn record(criterion: &mut Criterion) {
    let client = Client::new();
    for (name, chained) in [("record", false), ("record, chained", true)] {
        let mut service = audited(AuditLog::new(journal(Nowhere, chained).start().unwrap()));
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(
                || client.request(),
                |request| run(&mut service, request),
                criterion::BatchSize::LargeInput,
            );
        });
    }
}

criterion_group!(benches, ratios, record);
criterion_main!(benches);
