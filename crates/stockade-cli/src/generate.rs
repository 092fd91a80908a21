//! Shell completions and manual pages, generated from the definition of the command line.

use std::{fs, io::Write, path::PathBuf};

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{CliError, Outcome, command, output};

/// The target of the completion script.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// The output of the manual.
#[derive(Args, Clone, Debug)]
pub(crate) struct ManArgs {
    /// Write one page per command to this directory, instead of the main page to standard
    /// output
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl CompletionsArgs {
    pub(crate) fn run(&self) -> Result<Outcome, CliError> {
        // The generator panics if its writer fails.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command(), "stockade", &mut script);
        std::io::stdout().write_all(&script)?;
        Ok(Outcome::Success)
    }
}

impl ManArgs {
    pub(crate) fn run(&self) -> Result<Outcome, CliError> {
        let Some(folder) = &self.out else {
            let mut page = Vec::new();
            Man::new(command()).render(&mut page)?;
            std::io::stdout().write_all(&page)?;
            return Ok(Outcome::Success);
        };
        fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command(), folder))
            .map_err(|error| {
                let folder = folder.display();
                CliError::failed(format_args!("cannot write to {folder}: {error}"))
            })?;
        output::note(format_args!("Wrote the pages to {}.", folder.display()));
        Ok(Outcome::Success)
    }
}
