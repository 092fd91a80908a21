//! `stockade-server`: see `stockade-server --help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use mimalloc::MiMalloc;
use stockade_server::Cli;

/// A relayed request has about a hundred allocations; with glibc's, it takes a tenth more CPU.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

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
