//! `stockade check`.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anstyle::Style;
use clap::Args;
use stockade::{Config, Environment, Finding, Severity, Surroundings, check};
use stockade_abuse::{DenyList, DenyListReport};
use stockade_key_auth::{FileKeyStore, KeyStore};
use stockade_sqlx::SqlKeyStore;

use crate::{Failure, Outcome, output, visible::visible};

/// Which configuration to look at.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  stockade check                                 Look at stockade.toml
  stockade check etc/stockade.toml --strict      Fail also where something could be better

Exit codes: 0 nothing is unsafe, 1 something is, 2 asked the wrong way.")]
pub(crate) struct CheckArgs {
    /// The configuration, TOML or YAML
    #[arg(default_value = "stockade.toml")]
    config: PathBuf,
    /// Where the server listens, if the file does not say so
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// The server itself speaks TLS, if the file does not say so
    #[arg(long)]
    tls: bool,
    /// Fail on warnings, too
    #[arg(long)]
    strict: bool,
}

impl CheckArgs {
    pub(crate) async fn run(self) -> Result<Outcome, Failure> {
        let config =
            Config::read(&self.config, &Environment::from_process()).map_err(Failure::refused)?;
        let surroundings = self.look(&config).await?;
        let findings = check(&config, &surroundings);
        for finding in &findings {
            output::answer(shown(finding))?;
        }
        let count = |severity| {
            let of = findings
                .iter()
                .filter(|finding| finding.severity == severity);
            of.count()
        };
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        output::remark(format_args!(
            "{}: {errors} errors, {warnings} warnings",
            self.config.display()
        ));
        let unsafe_ones = if self.strict {
            errors + warnings
        } else {
            errors
        };
        Ok(match unsafe_ones {
            0 => Outcome::Done,
            _ => Outcome::Refused,
        })
    }

    async fn look(&self, config: &Config) -> Result<Surroundings, Failure> {
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
        config.check_token_files().map_err(Failure::refused)?;
        // What a server refuses to start with is no finding.
        config.auth.pepper().map_err(Failure::refused)?;
        let server = Server::of(&self.config);
        Ok(Surroundings {
            listen: self.listen.or(server.listen),
            tls: self.tls || server.tls,
            key_file_mode: config.auth.keys_file.as_deref().and_then(mode),
            pepper_file_mode: config.auth.pepper_file.as_deref().and_then(mode),
            keys,
            token_secret: token_secret(config)?,
            deny_list: deny_list(config)?,
        })
    }
}

/// What a server's own section says, as far as it is understood.
#[derive(Default)]
struct Server {
    listen: Option<SocketAddr>,
    tls: bool,
}

impl Server {
    fn of(config: &Path) -> Self {
        let text = fs::read_to_string(config).unwrap_or_default();
        let file: BTreeMap<String, toml::Value> = toml::from_str(&text).unwrap_or_default();
        let Some(server) = file.get("server") else {
            return Self::default();
        };
        let listen = server.get("listen").and_then(toml::Value::as_str);
        Self {
            listen: listen.and_then(|listen| listen.parse().ok()),
            tls: server.get("tls").is_some(),
        }
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

/// Read as a server reads it, which does not start where it cannot.
fn deny_list(config: &Config) -> Result<Option<DenyListReport>, Failure> {
    let list = config.abuse.deny_list.as_ref().map(DenyList::check);
    list.transpose().map_err(Failure::refused)
}

fn token_secret(config: &Config) -> Result<Option<Vec<u8>>, Failure> {
    match &config.auth.tokens {
        Some(tokens) if tokens.algorithm.starts_with("HS") => {
            let file = &tokens.key_file;
            let secret = fs::read(file).map_err(|error| {
                Failure::refused(format_args!("cannot read {}: {error}", file.display()))
            })?;
            Ok(Some(secret))
        }
        _ => Ok(None),
    }
}

fn shown(finding: &Finding) -> String {
    let (style, name): (Style, _) = match finding.severity {
        Severity::Error => (output::BAD, "error"),
        Severity::Warning => (output::CAUTION, "warning"),
    };
    let reason = visible(&finding.reason);
    format!(
        "{style}{name}{style:#}: {}: {reason}\n  mend: {}",
        finding.setting, finding.mend
    )
}
