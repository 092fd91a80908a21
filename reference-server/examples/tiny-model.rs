//! Writes the tiny vision model of the tests to a directory.
//!
//! ```text
//! cargo run -p stockade-server --example tiny-model -- DIRECTORY
//! ```

use std::{env, path::Path, process::ExitCode};

use stockade_server::tiny_model;

/// The seed of the weights, as in the tests of the engine.
const SEED: u64 = 7;

fn main() -> ExitCode {
    let Some(directory) = env::args_os().nth(1) else {
        return fail("usage: tiny-model DIRECTORY");
    };
    match tiny_model::write(Path::new(&directory), SEED) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string()),
    }
}

fn fail(text: &str) -> ExitCode {
    use std::io::Write as _;

    // Nothing is left to do if the error cannot be written.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::FAILURE
}
