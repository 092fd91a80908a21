//! Attacks on the server, next to a client that does nothing wrong, over loopback.

mod attack;
mod good;
mod server;
mod wire;

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, ValueEnum, value_parser};
use rustix::{
    process::setpriority_process,
    thread::{CpuSet, sched_setaffinity},
};
use serde::Serialize;
use stockade_benches::{Upstream, Usage, build_server, number, raise_descriptor_limit};
use tokio::{
    runtime::{self, Handle},
    task::JoinSet,
    time,
};

use attack::{Attack, Tally};
use good::Latencies;
use server::Server;

/// How much slower than in quiet times the good client may be.
const MAX_RATIO: f64 = 2.0;
/// What the memory may grow by from the first round to the last, in MiB. The allocator keeps some
/// of the busiest moment.
const MAX_GROWTH: f64 = 64.0;
/// The `nice` value of the threads of attackers.
const LOWEST_PRIORITY: i32 = 19;
/// Connections that clients have left are closed within this time.
const SETTLE: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Examples:
  soak                                    two rounds; five minutes
  soak --minutes 120 --strict             whether it stays the same for two hours
  soak --only idle,streams --seconds 20   one round of two attacks";

/// Attacks the server, next to a client that does nothing wrong.
///
/// The server runs on one processor, everything else on the others, where attackers give way to the
/// good client: what they take from it is no fault of the server. For each attack: the latency of
/// the good client in quiet times before it and during it, the answers to the attackers, and the
/// memory, descriptors and threads of the server after it.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES, max_term_width = 90)]
struct Cli {
    /// Repeats the rounds until this time has passed; at least two rounds
    #[arg(long, value_name = "COUNT", value_parser = value_parser!(u64).range(1..=1_440))]
    minutes: Option<u64>,
    /// The length of each attack, and of the quiet time before it
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// These attacks only
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<Attack>,
    /// The server; by default it is built, in the profile of this program
    #[arg(long, value_name = "FILE", env = "STOCKADE_SERVER_BIN")]
    server: Option<PathBuf>,
    /// Prints JSON lines instead of a table
    #[arg(long)]
    json: bool,
    /// Exits with 1 if the good client is refused or twice as slow, an answer is a 5xx, or the
    /// server grows
    #[arg(long)]
    strict: bool,
}

/// What one attack did.
#[derive(Debug, Serialize)]
struct Row {
    round: u32,
    attack: &'static str,
    quiet: Latencies,
    attacked: Latencies,
    answers: Tally,
    memory_mib: f64,
    descriptors: usize,
    threads: i64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.attacked.p99_ms / self.quiet.p99_ms
    }

    /// What is wrong with it.
    fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let failed = self.quiet.failed + self.attacked.failed;
        if failed > 0 {
            problems.push(format!("{failed} requests of the good client failed"));
        }
        if self.ratio() > MAX_RATIO {
            let ratio = number(self.ratio());
            problems.push(format!("the good client was {ratio} times as slow"));
        }
        let errors = self.answers.server_errors();
        if errors > 0 {
            problems.push(format!("{errors} answers to attackers were a 5xx"));
        }
        problems
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    // The descriptors of 10,000 connections.
    raise_descriptor_limit()?;
    let server = match &cli.server {
        Some(server) => server.clone(),
        None => build_server()?,
    };
    // All but the processor of the server, before any thread is started.
    let processors = std::thread::available_parallelism()?.get();
    if processors < 2 {
        return Err("the server and its clients need a processor each; there is one".into());
    }
    let mut own = CpuSet::new();
    (0..processors)
        .filter(|at| *at != server::PROCESSOR)
        .for_each(|at| own.set(at));
    sched_setaffinity(None, &own)?;
    let runtime = || {
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all();
        builder
    };
    let attackers = runtime()
        .on_thread_start(|| {
            // Of this thread only. It cannot fail: a priority may always be lowered.
            let _ = setpriority_process(None, LOWEST_PRIORITY);
        })
        .build()?;
    runtime()
        .build()?
        .block_on(run(&cli, &server, attackers.handle()))
}

async fn run(
    cli: &Cli,
    program: &std::path::Path,
    attackers: &Handle,
) -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start()?;
    let server = Server::start(program, folder.path(), upstream.address).await?;
    let length = Duration::from_secs(cli.seconds);
    let end = Instant::now() + Duration::from_secs(cli.minutes.unwrap_or(0) * 60);
    let attacks: Vec<_> = Attack::value_variants()
        .iter()
        .filter(|attack| cli.only.is_empty() || cli.only.contains(attack))
        .copied()
        .collect();
    let mut out = io::stdout();
    // Connections and code are warm afterwards.
    good::measure(&server, Duration::from_secs(2)).await;
    if !cli.json {
        writeln!(out, "{HEAD}")?;
    }
    let mut rows: Vec<Row> = Vec::new();
    let mut round = 0;
    while round < 2 || Instant::now() < end {
        round += 1;
        for attack in &attacks {
            let row = attacked(&server, *attack, round, length, attackers).await?;
            match cli.json {
                true => writeln!(out, "{}", serde_json::to_string(&row)?)?,
                false => writeln!(out, "{}", line(&row))?,
            }
            out.flush()?;
            rows.push(row);
        }
        if cli.minutes.is_none() && !cli.only.is_empty() {
            break;
        }
    }
    let mut err = io::stderr();
    let mut problems: Vec<_> = rows
        .iter()
        .flat_map(|row| {
            let named = move |problem| format!("{}, round {}: {problem}", row.attack, row.round);
            row.problems().into_iter().map(named)
        })
        .collect();
    problems.extend(growth(&rows));
    for problem in &problems {
        writeln!(err, "problem: {problem}")?;
    }
    Ok(ExitCode::from(u8::from(cli.strict && !problems.is_empty())))
}

async fn attacked(
    server: &Server,
    attack: Attack,
    round: u32,
    length: Duration,
    runtime: &Handle,
) -> Result<Row, Box<dyn Error>> {
    let quiet = good::measure(server, length).await;
    let tally = Tally::default();
    let mut attackers = JoinSet::new();
    {
        let _entered = runtime.enter();
        attack.start(server, &tally, &mut attackers);
    }
    // Until the attack is at its height.
    time::sleep(Duration::from_secs(1)).await;
    let attacked = good::measure(server, length).await;
    attackers.shutdown().await;
    time::sleep(SETTLE).await;
    let Usage {
        memory,
        descriptors,
        threads,
        ..
    } = server.usage()?;
    Ok(Row {
        round,
        attack: attack.name(),
        quiet,
        attacked,
        answers: tally,
        memory_mib: memory as f64 / f64::from(1 << 20),
        descriptors,
        threads,
    })
}

/// What the server has more of after the last round than after the first.
fn growth(rows: &[Row]) -> Vec<String> {
    let last = rows.last().map_or(0, |row| row.round);
    let of_round = |round| rows.iter().filter(move |row| row.round == round);
    let memory = |round| {
        of_round(round)
            .map(|row| row.memory_mib)
            .fold(0.0, f64::max)
    };
    let descriptors = |round| of_round(round).map(|row| row.descriptors).max();
    let threads = |round| of_round(round).map(|row| row.threads).max();
    let mut problems = Vec::new();
    if memory(last) > memory(1) + MAX_GROWTH {
        let (first, last) = (number(memory(1)), number(memory(last)));
        problems.push(format!("the memory grew from {first} to {last} MiB"));
    }
    // Idle connections of the clients of one round differ by a few.
    if descriptors(last) > descriptors(1).map(|count| count + 64) {
        problems.push("the server keeps descriptors".to_owned());
    }
    if threads(last) > threads(1) {
        problems.push("the server keeps threads".to_owned());
    }
    problems
}

const HEAD: &str = "\
| round | attack | answers to attackers | good client, p99 ms: quiet | attacked | ratio | MiB | descriptors | threads |
|---:|---|---|---:|---:|---:|---:|---:|---:|";

fn line(row: &Row) -> String {
    format!(
        "| {} | {} | {} | {:.2} | {:.2} | {} | {} | {} | {} |",
        row.round,
        row.attack,
        row.answers,
        row.quiet.p99_ms,
        row.attacked.p99_ms,
        number(row.ratio()),
        number(row.memory_mib),
        row.descriptors,
        row.threads,
    )
}
