//! The command-line interface.

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand};
use stockade::Environment;
use stockade_server_config::listen_address;
use tokio::runtime::Runtime;

mod alerts;
mod health;
pub(crate) mod key;

#[cfg(feature = "mistralrs")]
use crate::demo;
use crate::{
    Config, StartError, init, logging,
    reload::ConfigSource,
    serve::{self, LogReporter},
    systemd::Sockets,
};

/// An OpenAI-compatible server for vision-language models, behind a fence of API keys
/// and scopes.
#[derive(Debug, Parser)]
#[command(
    name = "stockade-server",
    version,
    after_help = "To try it:               stockade-server demo\n\
                  To serve a model:        stockade-server init,\n\
                  \x20                        then stockade-server serve --config stockade.toml"
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeArgs),
    Init(Box<init::InitArgs>),
    #[cfg(feature = "mistralrs")]
    Demo(demo::DemoArgs),
    Key(key::KeyArgs),
    Alerts(alerts::AlertsArgs),
    Health(health::HealthArgs),
}

/// Serve a model according to a configuration file
#[derive(Debug, Args)]
#[command(after_long_help = SERVE_HELP)]
struct ServeArgs {
    /// The configuration file, TOML or YAML
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A model directory, a GGUF file, or a Hugging Face Hub repository (owner/name); overrides
    /// model.source of the file
    #[arg(long, value_name = "DIR_OR_HUB_ID")]
    model: Option<String>,
    /// The address to listen on; overrides server.listen of the file
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
}

const SERVE_HELP: &str = "\
The smallest configuration:

    [model]
    source = \"Hcompany/Holo1.5-7B\"   # or a directory: \"./holo\"

    [auth]
    keys_file = \"keys.yaml\"          # created by: stockade-server key --file keys.yaml --id me

For HTTPS, set certificate_file and key_file in [server.tls].
Relative paths are relative to the file. GET /health reports whether the model is ready.
The server reloads quotas, bans, CORS origins and the certificate when their files change.
SIGHUP reloads them immediately, and reopens the log files.
SIGTERM or Ctrl-C shuts down gracefully; a second one aborts the requests in flight.";

impl Cli {
    /// Runs the command, until it is done or a signal stops it.
    ///
    /// # Errors
    /// Returns an error if the command fails to start.
    pub fn run(self) -> Result<(), StartError> {
        match self.command {
            Command::Serve(args) => {
                let sockets = Sockets::take()?;
                let source = ConfigSource::new(args.config.clone(), move || args.config());
                let config = source.load()?;
                logging::init(&config.log);
                let reporter = LogReporter::default();
                block_on(serve::serve(config, Some(source), sockets, reporter))
            }
            Command::Init(args) => block_on(init::run(*args)),
            #[cfg(feature = "mistralrs")]
            Command::Demo(args) => block_on(demo::run(args)),
            Command::Key(args) => block_on(key::run(args)),
            Command::Alerts(args) => block_on(alerts::run(args)),
            Command::Health(args) => block_on(health::run(args)),
        }
    }
}

impl ServeArgs {
    fn config(&self) -> Result<Config, StartError> {
        let environment = Environment::from_process().legacy_names();
        let model = self.model.as_deref().map(model_argument);
        let mut config = Config::read_with_model(&self.config, &environment, model)?;
        if let Some(listen) = self.listen {
            config.server.listen = listen;
        }
        Ok(config)
    }
}

/// A model argument: on the command line, an existing directory or GGUF file needs no `./`.
pub(crate) fn model_argument(text: &str) -> String {
    let is_model = |path: &Path| path.is_dir() || path.extension().is_some_and(|e| e == "gguf");
    match Path::new(text).canonicalize() {
        Ok(path) if is_model(&path) => path.to_string_lossy().into_owned(),
        _ => text.to_owned(),
    }
}

/// Runs a future on a new runtime, and does not wait for the runtime's threads on exit: the
/// model's threads may still be busy.
fn block_on<F>(future: F) -> Result<(), StartError>
where
    F: Future<Output = Result<(), StartError>>,
{
    let runtime = Runtime::new()
        .map_err(|error| StartError::new(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(future);
    runtime.shutdown_background();
    result
}

/// Prints to standard output.
pub(crate) fn print(text: &str) -> Result<(), StartError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")
        .and_then(|()| out.flush())
        .map_err(|error| StartError::new(format!("cannot write to standard output: {error}")))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn command_line_is_valid() {
        Cli::command().debug_assert();
    }
}
