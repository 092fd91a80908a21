//! `stockade check`.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anstyle::Style;
use clap::Args;
use serde_json::{Value, json};
use stockade::{Config, ConfigError, DeploymentFacts, Environment, Finding, Severity, check};
use stockade_server_config::{ModelMemory, ServerFile, listen_address};

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
    /// `None` if the file is not that of the server.
    client_certificates: Option<bool>,
    /// Findings in the sections of the server.
    findings: Vec<Finding>,
    /// The memory that models in local directories need.
    memory: Vec<ModelMemory>,
    /// The older systems whose routes the administration has.
    compatibility: Vec<&'static str>,
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
        if !loaded.compatibility.is_empty() {
            let systems = loaded.compatibility.join(", ");
            output::note(format_args!("admin: compatibility routes for {systems}"));
        }
        let mut findings = loaded.findings;
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
        let environment = Environment::from_process();
        if self.library || !is_server(&self.config)? {
            let config = Config::read(&self.config, &environment).map_err(refused)?;
            return Ok(Loaded {
                config,
                listen: None,
                tls: false,
                client_certificates: None,
                findings: Vec::new(),
                memory: Vec::new(),
                compatibility: Vec::new(),
            });
        }
        let environment = environment.legacy_names();
        let file = ServerFile::read(&self.config, &environment).map_err(refused)?;
        Ok(Loaded {
            findings: file.findings(),
            memory: file.memory(),
            compatibility: systems(&file),
            listen: Some(file.server.listen),
            tls: file.server.tls.is_some(),
            client_certificates: Some(file.verifies_clients()),
            config: file.fence,
        })
    }

    async fn facts(&self, loaded: &Loaded) -> Result<DeploymentFacts, CliError> {
        let facts = DeploymentFacts::read(&loaded.config).await;
        Ok(DeploymentFacts {
            listen: self.listen.or(loaded.listen),
            tls: self.tls || loaded.tls,
            client_certificates: loaded.client_certificates,
            ..facts.map_err(refused)?
        })
    }
}

/// Whether a file has a section that only the server has.
pub(crate) fn is_server(path: &Path) -> Result<bool, CliError> {
    let sections = Config::section_names(path).map_err(refused)?;
    let is_own = |section: &String| ServerFile::SECTIONS.contains(&section.as_str());
    Ok(sections.iter().any(is_own))
}

fn systems(file: &ServerFile) -> Vec<&'static str> {
    let admin = file.admin.iter();
    let systems = admin.flat_map(|admin| &admin.compatibility);
    systems.map(|system| system.name()).collect()
}

/// Converts the error of a configuration.
pub(crate) fn refused(error: ConfigError) -> CliError {
    let failure = CliError::failed(error.summary());
    match error.remedy() {
        Some(remedy) => failure.with_help(remedy),
        None => failure,
    }
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
