//! Counts the instructions of one record, by callgrind.
//!
//! It runs itself under valgrind, twice a stack: the difference between a run of twice
//! the requests and a run of once the requests is what the requests cost, without
//! starting up. What the journal's thread does is counted apart from what requests pay.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::print_stdout, reason = "the figures are for a reader")]

mod support;

use std::{env, fs, hint::black_box, path::Path, process::Command, time::Duration};

use sha2::{Digest, Sha256};
use stockade_audit::{AuditLog, FileSink};
use support::{Client, Nowhere, audited, bare, journal, run};

/// What glibc's allocator does depends on what was freed before. This one takes the same
/// way each time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many requests more the second run of a stack has.
const REQUESTS: u64 = 30_000;

/// Longer than a run takes: the journal's thread writes when a batch is full.
const NEVER: Duration = Duration::from_secs(3_600);

const STACKS: [&str; 5] = ["request", "bare", "audit", "chained", "sha256"];

fn main() {
    // Cargo says `--bench`.
    let arguments = env::args().skip(1).filter(|word| !word.starts_with("--"));
    match arguments.collect::<Vec<_>>().as_slice() {
        [stack, requests] => repeat(stack, requests.parse().unwrap()),
        _ => report(),
    }
}

/// Runs a stack so often.
fn repeat(stack: &str, requests: u64) {
    let client = Client::new();
    let log = |chained| {
        let journal = journal(Nowhere, chained).linger(NEVER);
        AuditLog::new(journal.start().unwrap())
    };
    let each = |mut each: Box<dyn FnMut()>| (0..requests).for_each(|_| each());
    match stack {
        "request" => each(Box::new(|| drop(black_box(client.request())))),
        "bare" => {
            let mut service = bare();
            each(Box::new(|| run(&mut service, client.request())));
        }
        "audit" | "chained" => {
            let mut service = audited(log(stack == "chained"));
            each(Box::new(|| run(&mut service, client.request())));
        }
        "sha256" => {
            // As the journal does: many records at once.
            let record = record();
            let mut batch = Sha256::new();
            each(Box::new(|| batch.update(black_box(&record))));
            black_box(batch.finalize());
        }
        other => panic!("there is no stack {other:?}"),
    }
}

/// The text of a record.
fn record() -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let sink = FileSink::open(&path).unwrap();
    let log = AuditLog::new(journal(sink, false).start().unwrap());
    run(&mut audited(log.clone()), Client::new().request());
    log.flush(Duration::from_secs(60)).unwrap();
    let text = fs::read_to_string(path).unwrap();
    format!("{}\n", text.lines().last().unwrap())
}

/// Instructions of requests, and of the journal's thread.
#[derive(Clone, Copy)]
struct Count {
    requests: i64,
    thread: i64,
}

fn report() {
    let counts = STACKS.map(|stack| each(stack, None));
    let [request, bare, audit, chained, sha] = counts;
    let line = each("audit", Some("stockade_audit::record::line*")).requests;
    let (plain, sealed) = (
        audit.requests - bare.requests,
        chained.requests - bare.requests,
    );
    println!("| a request | in the request | in the thread | sum |\n|---|---:|---:|---:|");
    for (name, requests, thread) in [
        ("the service alone", bare.requests - request.requests, 0),
        ("its line", line, 0),
        ("the layer", plain, audit.thread),
        ("the layer, chained", sealed, chained.thread),
        (
            "the same, without SHA-256",
            sealed,
            chained.thread - sha.requests,
        ),
    ] {
        println!("| {name} | {requests} | {thread} | {} |", requests + thread);
    }
}

/// The instructions of one request of a stack; within one function, where it is named.
fn each(stack: &str, within: Option<&str>) -> Count {
    let [once, twice] = [REQUESTS, 2 * REQUESTS].map(|requests| count(stack, requests, within));
    Count {
        requests: (twice.requests - once.requests) / REQUESTS as i64,
        thread: (twice.thread - once.thread) / REQUESTS as i64,
    }
}

/// The instructions of a whole run.
fn count(stack: &str, requests: u64, within: Option<&str>) -> Count {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--separate-threads=yes"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .args(within.map(|function| format!("--toggle-collect={function}")))
        .arg(env::current_exe().unwrap())
        .args([stack, &requests.to_string()])
        .output()
        .expect("valgrind runs, where it is installed");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    Count {
        requests: total(&folder.path().join("out-01")),
        thread: total(&folder.path().join("out-02")),
    }
}

/// What a thread's file says that it counted; nothing, where there was no such thread.
fn total(file: &Path) -> i64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.map_or(0, |total| total.trim().parse().unwrap())
}
