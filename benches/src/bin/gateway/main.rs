//! Compares gateways before the same upstream, over loopback.

mod answers;
mod case;
mod gateways;
mod report;
mod results;
mod streams;
mod wrk;

use std::{
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, value_parser};
use stockade_benches::{Upstream, build_server, raise_descriptor_limit};

use case::{Case, Kind, Size};
use gateways::{Gateway, Name};
use results::{Measured, Results};
use wrk::Wrk;

const EXAMPLES: &str = "\
Examples:
  gateway                                all gateways; four minutes
  gateway --only stockade,nginx --quick  whether they work
  gateway --server target/dist/stockade-server";

/// Compares Stockade, nginx, HAProxy and LiteLLM before the same upstream, over loopback.
///
/// Missing programs are installed: wrk, nginx and HAProxy from Debian, LiteLLM from PyPI into
/// `target/litellm`. Turns of the gateways alternate.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES, max_term_width = 90)]
struct Cli {
    /// Measures only these gateways, and the upstream itself
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    only: Vec<Name>,
    /// Turns of each gateway with each load; LiteLLM has one, because its figures differ by far
    #[arg(long, value_name = "COUNT", default_value_t = 2, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Few requests, to see whether everything works
    #[arg(long)]
    quick: bool,
    /// The server; by default it is built, in the profile of this program
    #[arg(long, value_name = "FILE", env = "STOCKADE_SERVER_BIN")]
    server: Option<PathBuf>,
    /// Prints JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Exits with 1 if a target is missed
    #[arg(long)]
    strict: bool,
}

impl Cli {
    fn names(&self) -> Vec<Name> {
        let is_wanted =
            |name: &Name| *name == Name::Direct || self.only.is_empty() || self.only.contains(name);
        Name::ALL.into_iter().filter(is_wanted).collect()
    }

    fn cases(&self) -> Vec<Case> {
        let case = |kind, size, connections| Case {
            kind,
            size,
            connections,
            pause: None,
        };
        if self.quick {
            return [Kind::Json, Kind::Sse]
                .map(|kind| case(kind, Size::Small, 4))
                .into();
        }
        let mut cases = Vec::new();
        for kind in [Kind::Json, Kind::Sse] {
            for size in [Size::Small, Size::Large] {
                cases.extend([1, 16, 64].map(|connections| case(kind, size, connections)));
            }
        }
        cases.push(Case {
            pause: Some(16),
            ..case(Kind::Json, Size::Small, 16)
        });
        cases
    }

    fn streams(&self) -> streams::Plan {
        let (idle, busy, millis) = match self.quick {
            true => (32, 8, 200),
            false => (1_000, 64, 1_500),
        };
        streams::Plan {
            idle,
            busy,
            pause: 5,
            time: Duration::from_millis(millis),
        }
    }

    fn rounds(&self) -> u32 {
        if self.quick { 1 } else { self.rounds }
    }
}

async fn measure(cli: &Cli, server: &Path) -> Result<Results, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let upstream = Upstream::start()?;
    let mut results = Results::default();
    let mut gateways = Vec::new();
    for name in cli.names() {
        let start = || Gateway::start(name, &upstream, folder.path(), server);
        let mut gateway = start().await?;
        let mut measured = Measured::new(name, gateway.usage()?.memory);
        if name != Name::Direct {
            match streams::memory(&gateway, cli.streams()).await {
                Ok(bytes) => measured.stream_memory = Some(bytes),
                Err(error) => results.doubts.push(error.to_string()),
            }
            // LiteLLM goes on reading the streams whose clients have left.
            drop(gateway);
            gateway = start().await?;
        }
        answers::check_all(&gateway).await?;
        results.gateways.push(measured);
        gateways.push(gateway);
    }
    let wrk = Wrk::new(folder.path())?;
    for round in 0..cli.rounds() {
        // In both directions, so that none always follows the same.
        let mut order: Vec<_> = (0..gateways.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        order.retain(|at| round == 0 || gateways[*at].name != Name::Litellm);
        for case in cli.cases() {
            for &at in &order {
                match wrk.turn(&gateways[at], case) {
                    Ok(sample) => results.gateways[at].add(case, sample),
                    Err(error) => results.doubts.push(error.to_string()),
                }
            }
        }
        for &at in order
            .iter()
            .filter(|at| gateways[**at].name != Name::Direct)
        {
            let cost = streams::event_cost(&gateways[at], &upstream, cli.streams()).await;
            match cost {
                Ok(cost) => results.gateways[at].events.push(cost),
                Err(error) => results.doubts.push(error.to_string()),
            }
        }
    }
    Ok(results)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let cli = Cli::parse();
    // Two descriptors a stream here, and as many in each gateway.
    raise_descriptor_limit()?;
    gateways::install(&cli.names())?;
    let server = match &cli.server {
        None if cli.names().contains(&Name::Stockade) => build_server()?,
        server => server.clone().unwrap_or_default(),
    };
    let results = measure(&cli, &server).await?;
    let mut out = io::stdout();
    if cli.json {
        serde_json::to_writer_pretty(&mut out, &results)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::tables(&results, &cli.cases()))?;
    }
    let mut err = io::stderr();
    for name in Name::ALL.iter().filter(|name| results.of(**name).is_none()) {
        writeln!(err, "not run: {name}, because of --only")?;
    }
    for doubt in &results.doubts {
        writeln!(err, "doubt: {doubt}")?;
    }
    let targets = report::targets(&results, &cli.cases());
    let missed = cli.strict && !report::all_met(&targets);
    Ok(ExitCode::from(u8::from(
        missed || !results.doubts.is_empty(),
    )))
}
