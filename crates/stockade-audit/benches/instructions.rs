//! Counts the instructions of one record with callgrind.
//!
//! It runs itself twice per stack under valgrind, with n and 2n requests; the difference
//! excludes the startup. The journal's thread is counted separately from the requests.

#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]
#![allow(clippy::print_stdout, reason = "the figures are for a reader")]

mod support;

use std::{env, fs, hint::black_box, path::Path, process::Command, time::Duration};

use sha2::{Digest, Sha256};
use stockade_audit::{AuditLog, FileSink};
use support::{Client, Nowhere, audited, bare, journal, run};

/// Takes the same path for each request; the path of glibc's allocator depends on earlier
/// frees.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of additional requests of the second run.
const REQUESTS: u64 = 30_000;

/// Longer than a run, so that the journal's thread writes full batches only.
const NEVER: Duration = Duration::from_secs(3_600);

const STACKS: [&str; 5] = ["request", "bare", "audit", "chained", "sha256"];

fn main() {
    // Cargo passes `--bench`.
    let arguments = env::args().skip(1).filter(|word| !word.starts_with("--"));
    match arguments.collect::<Vec<_>>().as_slice() {
        [stack, requests] => repeat(stack, requests.parse().unwrap()),
        _ => report(),
    }
}

/// Sends `requests` requests to a stack.
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
            // Many records in one digest, as the journal does.
            let record = record();
            let mut batch = Sha256::new();
            each(Box::new(|| batch.update(black_box(&record))));
            black_box(batch.finalize());
        }
        other => panic!("there is no stack {other:?}"),
    }
}

/// Returns the text of a record.
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

/// Instructions of the requests and of the journal's thread.
#[derive(Clone, Copy)]
struct Count {
    requests: i64,
    thread: i64,
}

fn report() {
    let counts = STACKS.map(|stack| each(stack, None));
    let [request, bare, audit, chained, sha] = counts;
    let line = each(
        "audit",
        Some("*stockade_audit::record::RequestRecord::line*"),
    )
    .requests;
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

/// Returns the instructions per request of a stack, or of one function in it.
fn each(stack: &str, within: Option<&str>) -> Count {
    let [once, twice] = [REQUESTS, 2 * REQUESTS].map(|requests| count(stack, requests, within));
    Count {
        requests: (twice.requests - once.requests) / REQUESTS as i64,
        thread: (twice.thread - once.thread) / REQUESTS as i64,
    }
}

/// Returns the instructions of a run.
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
        .expect("valgrind is installed");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    Count {
        requests: total(&folder.path().join("out-01")),
        thread: total(&folder.path().join("out-02")),
    }
}

/// Returns the total in the output file of a thread; zero if there was no such thread.
fn total(file: &Path) -> i64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total.map_or(0, |total| total.trim().parse().unwrap())
}
