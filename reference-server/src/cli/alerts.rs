//! `stockade-server alerts`, which tests where alerts are sent.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use stockade::Environment;
use stockade_server_config::ServerFile;

use super::print;
use crate::{StartError, alerts};

/// Test the destinations of alerts
#[derive(Debug, Args)]
pub(crate) struct AlertsArgs {
    #[command(subcommand)]
    command: AlertsCommand,
}

#[derive(Debug, Subcommand)]
enum AlertsCommand {
    Test(TestArgs),
}

/// Send a test to each destination once: exit code 0 if all accept it, otherwise 1
#[derive(Debug, Args)]
struct TestArgs {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(super) async fn run(args: AlertsArgs) -> Result<(), StartError> {
    let AlertsCommand::Test(args) = args.command;
    let environment = Environment::from_process().legacy_names();
    let file = ServerFile::read(&args.config, &environment);
    let file = file.map_err(|error| StartError::new(error.to_string()))?;
    let Some(config) = &file.alerts else {
        let text = format!("{} has no section [alerts]", args.config.display());
        return Err(StartError::new(text));
    };
    let mut failed = Vec::new();
    for (destination, outcome) in alerts::send_test(config, &file.fence).await? {
        match outcome {
            Ok(answer) => print(&format!("{destination}: {answer}"))?,
            Err(error) => failed.push(format!("{destination}: {error}")),
        }
    }
    match failed.is_empty() {
        true => Ok(()),
        false => Err(StartError::new(failed.join("; "))),
    }
}
