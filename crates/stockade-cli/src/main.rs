//! The `stockade` command.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match stockade_cli::run(stockade_cli::Cli::parse()) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            error.report();
            error.kind().into()
        }
    }
}
