//! `stockade-server`: see `stockade-server --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use stockade_server::Cli;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is no other place to report a failed write to stderr.
            let _ = writeln!(io::stderr(), "stockade-server: {error}");
            ExitCode::FAILURE
        }
    }
}
