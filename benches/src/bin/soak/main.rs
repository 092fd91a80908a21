//! Attacks on the server, next to a client that does nothing wrong, over loopback.

mod attack;
mod good;
mod report;
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
use stockade_benches::{Upstream, Usage, build_server, raise_descriptor_limit};
use tokio::{
    runtime::{self, Handle},
    task::JoinSet,
    time,
};

use attack::{Attack, Tally};
use report::{HEAD, Row, Summary};
use server::Server;

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
/// memory, descriptors and threads of the server after it. At the end, the medians of all rounds.
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
    /// Exits with 1 if the good client is refused or, in the median of the rounds, twice as slow, an
    /// answer is a 5xx, or the server grows
    #[arg(long)]
    strict: bool,
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
                false => writeln!(out, "{row}")?,
            }
            out.flush()?;
            rows.push(row);
        }
        if cli.minutes.is_none() && !cli.only.is_empty() {
            break;
        }
    }
    let summary = Summary::new(&rows);
    if !cli.json {
        write!(out, "{summary}")?;
    }
    let mut err = io::stderr();
    let problems = summary.problems(&rows);
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
