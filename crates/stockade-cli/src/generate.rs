//! Completions and manual pages, made from the same description as `--help`.

use std::{fs, io::Write, path::PathBuf};

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::{CliError, Outcome, command, output};

/// Which shell.
#[derive(Args, Clone, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell that is to complete
    shell: Shell,
}

/// Where the manual goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct ManArgs {
    /// Write a page for each command into this folder, instead of the main page to
    /// standard output
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl CompletionsArgs {
    pub(crate) fn run(&self) -> Result<Outcome, CliError> {
        // Written to memory first: the generator panics when its writer fails.
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
                CliError::failed(format_args!("{folder} cannot be written: {error}"))
            })?;
        output::note(format_args!("The pages are in {}.", folder.display()));
        Ok(Outcome::Success)
    }
}
