//! Runs mistral.rs without the server, for `scripts/gpu check`: its faults on a device, and its speed.
//!
//! ```text
//! engine-probe quirks DEVICE
//! engine-probe speed DEVICE MODEL [--requests N] [--tokens N] [--picture FILE]…
//! ```
//!
//! Prints one JSON object on standard output. `DEVICE` is `cpu` or `cuda`.

use std::{io::Write as _, process::ExitCode};

use clap::{Parser, Subcommand};

mod engine;
mod quirks;
mod speed;

use engine::Target;

#[derive(Debug, Parser)]
#[command(about = "Run mistral.rs without the server")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Report whether the faults 2, 3 and 12 of `quirks.rs` exist on a device
    Quirks { device: Target },
    /// Measure the time to the first token and the whole time of chats, one after the other
    Speed(speed::SpeedArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let report = match Cli::parse().command {
        Command::Quirks { device } => quirks::run(device).await,
        Command::Speed(args) => speed::run(args).await,
    };
    let written = match &report {
        Ok(report) => writeln!(std::io::stdout(), "{report}"),
        Err(error) => {
            let error = engine::first_line(&format!("{error:#}"));
            writeln!(std::io::stderr(), "engine-probe: {error}")
        }
    };
    match (report, written) {
        (Ok(_), Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
