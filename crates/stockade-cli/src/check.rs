//! `stockade check`.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anstyle::Style;
use clap::Args;
use serde_json::{Value, json};
use stockade::{Config, DeploymentFacts, Environment, Finding, Severity, check};
use stockade_abuse::{DenyList, DenyListReport};
use stockade_key_auth::{FileKeyStore, KeyStore};
use stockade_server_config::{ModelMemory, ServerFile, listen_address};
use stockade_sqlx::SqlKeyStore;

use crate::{
    CliError, Outcome,
    escape::escape,
    output::{self, plural},
};

/// The configuration to check.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
A file with a section [server], [model], [[models]], [upstreams], [docs] or [log] is loaded in
the same way as by stockade-server, including its unprefixed environment variables. Any other file is
loaded in the same way as by the library.

Examples:
  stockade check                                 Check stockade.toml
  stockade check etc/stockade.toml --strict      Fail on warnings as well
  stockade check --settings                      Show each setting and where it is set

Exit codes: 0 success, 1 errors (or warnings with --strict), 2 usage error.")]
pub(crate) struct CheckArgs {
    /// The configuration, TOML or YAML
    #[arg(default_value = "stockade.toml")]
    config: PathBuf,
    /// The address that the server listens on [default: as in the file]
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// The server terminates TLS itself [default: as in the file]
    #[arg(long)]
    tls: bool,
    /// Load the file in the same way as the library: ignore [server], [model], [[models]],
    /// [upstreams], [docs], [log] and
    /// unprefixed variables
    #[arg(long)]
    library: bool,
    /// Show each setting and the line or variable that sets it
    #[arg(long)]
    settings: bool,
    /// Fail on warnings as well
    #[arg(long)]
    strict: bool,
    /// Write the findings as JSON, with their remedies as a list of changes
    #[arg(long)]
    json: bool,
}

/// A loaded configuration.
struct Loaded {
    config: Config,
    listen: Option<SocketAddr>,
    tls: bool,
    /// Findings in the sections of the server.
    findings: Vec<Finding>,
    /// The memory that models in local directories need.
    memory: Vec<ModelMemory>,
}

impl CheckArgs {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let loaded = self.load()?;
        if self.settings {
            show_settings(&loaded.config)?;
        }
        let facts = self.facts(&loaded).await?;
        for memory in &loaded.memory {
            output::note(memory);
        }
        let config = &loaded.config;
        let pepper = config.auth.pepper().err();
        let pepper = pepper.map(|error| config.locate(error).into());
        let mut findings: Vec<Finding> = loaded.findings.into_iter().chain(pepper).collect();
        findings.extend(check(&loaded.config, &facts));
        if self.json {
            output::print_json(&findings.iter().map(to_json).collect::<Vec<_>>())?;
        } else {
            for finding in &findings {
                output::print(render(finding))?;
            }
        }
        let count = |severity| {
            let of = findings
                .iter()
                .filter(|finding| finding.severity == severity);
            of.count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        output::note(format_args!(
            "{}: {}, {}",
            self.config.display(),
            plural(errors as u64, "error"),
            plural(warnings as u64, "warning"),
        ));
        let failing = match self.strict {
            true => errors + warnings,
            false => errors,
        };
        Ok(match failing {
            0 => Outcome::Success,
            _ => Outcome::Negative,
        })
    }

    fn load(&self) -> Result<Loaded, CliError> {
        let refused = |error: stockade::ConfigError| {
            let failure = CliError::failed(error.summary());
            match error.remedy() {
                Some(remedy) => failure.with_help(remedy),
                None => failure,
            }
        };
        let environment = Environment::from_process();
        let sections = Config::section_names(&self.config).map_err(refused)?;
        let is_server = ServerFile::SECTIONS
            .iter()
            .any(|own| sections.iter().any(|section| section == own));
        if self.library || !is_server {
            let config = Config::read(&self.config, &environment).map_err(refused)?;
            return Ok(Loaded {
                config,
                listen: None,
                tls: false,
                findings: Vec::new(),
                memory: Vec::new(),
            });
        }
        let environment = environment.legacy_names();
        let file = ServerFile::read(&self.config, &environment).map_err(refused)?;
        Ok(Loaded {
            findings: file
                .validate()
                .into_iter()
                .map(Finding::from)
                .chain(file.warnings())
                .collect(),
            memory: file.memory(),
            listen: Some(file.server.listen),
            tls: file.server.tls.is_some(),
            config: file.fence,
        })
    }

    async fn facts(&self, loaded: &Loaded) -> Result<DeploymentFacts, CliError> {
        let config = &loaded.config;
        let keys: Option<Box<dyn KeyStore>> =
            match (&config.auth.keys_file, &config.auth.keys_database) {
                (Some(file), _) => Some(Box::new(FileKeyStore::open_static(file)?)),
                (None, Some(url)) => {
                    Some(Box::new(SqlKeyStore::connect_static(url.expose()).await?))
                }
                (None, None) => None,
            };
        let keys = match keys {
            Some(store) => store.list().await?,
            None => Vec::new(),
        };
        Ok(DeploymentFacts {
            listen: self.listen.or(loaded.listen),
            tls: self.tls || loaded.tls,
            key_file_mode: config.auth.keys_file.as_deref().and_then(mode),
            pepper_file_mode: config.auth.pepper_file.as_deref().and_then(mode),
            keys,
            token_secret: token_secret(config),
            deny_list: deny_list(config)?,
        })
    }
}

#[cfg(unix)]
fn mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(fs::metadata(file).ok()?.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_file: &Path) -> Option<u32> {
    None
}

/// Reads the deny-list. A server does not start without it, so an error is an error here.
fn deny_list(config: &Config) -> Result<Option<DenyListReport>, CliError> {
    let list = config.abuse.deny_list.as_ref().map(DenyList::check);
    list.transpose().map_err(CliError::failed)
}

/// The secret that verifies tokens. A file that cannot be read is a separate finding.
fn token_secret(config: &Config) -> Option<Vec<u8>> {
    let tokens = config.auth.tokens.as_ref()?;
    let is_secret = tokens.algorithm.starts_with("HS");
    is_secret.then(|| fs::read(&tokens.key_file).ok()).flatten()
}

fn show_settings(config: &Config) -> Result<(), CliError> {
    for setting in config.settings() {
        let value = escape(&setting.value);
        output::print(format!(
            "{} = {value}  # {}",
            escape(&setting.name),
            setting.origin
        ))?;
    }
    output::note("All other settings have their default values.");
    Ok(())
}

fn to_json(finding: &Finding) -> Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    json!({
        "severity": severity,
        "setting": finding.setting,
        "origin": finding.origin.as_ref().map(ToString::to_string),
        "reason": finding.reason,
        "help": finding.remedy.text,
        "changes": finding.remedy.changes,
    })
}

fn render(finding: &Finding) -> String {
    let (style, name): (Style, _) = match finding.severity {
        Severity::Error => (output::ERROR, "error"),
        Severity::Warning => (output::WARNING, "warning"),
    };
    let (location, reason) = (finding.location(), escape(&finding.reason));
    let location = escape(&location);
    let mut shown = format!("{style}{name}{style:#}: {location}{reason}");
    if !finding.remedy.text.is_empty() {
        let remedy = escape(&finding.remedy.text);
        shown.push_str(&format!("\n  help: {remedy}"));
    }
    shown
}
