//! What is unsafe about a configuration, and how to fix it.

use std::{fmt, net::SocketAddr};

use stockade_abuse::DenyListReport;
use stockade_key_auth::KeyRecord;

use crate::{Config, ConfigError, Origin, Remedy, fence};

mod deny_list;
mod guards;
mod needs;
mod network;
mod secrets;

pub(crate) use needs::unmet;

/// What a configuration does not say about itself.
#[derive(Clone, Debug, Default)]
pub struct DeploymentFacts {
    /// Where the server listens; `None` where that is not known.
    pub listen: Option<SocketAddr>,
    /// Whether the server itself speaks TLS.
    pub tls: bool,
    /// The permission bits of the key file, where there is one.
    pub key_file_mode: Option<u32>,
    /// The permission bits of the file with the pepper, where there is one.
    pub pepper_file_mode: Option<u32>,
    /// All keys.
    pub keys: Vec<KeyRecord>,
    /// The secret that tokens are verified by, for algorithms that have one.
    pub token_secret: Option<Vec<u8>>,
    /// What is in the deny-list, where there is one.
    pub deny_list: Option<DenyListReport>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Not as good as it could be.
    Warning,
    /// Not fit for production.
    Error,
}

/// Something unsafe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The setting.
    pub setting: String,
    /// Where it is set; `None` for a default.
    pub origin: Option<Origin>,
    /// What is wrong with it, and what can come of it.
    pub reason: String,
    /// How to fix it.
    pub remedy: Remedy,
}

impl From<ConfigError> for Finding {
    /// What a server refuses is an error.
    fn from(error: ConfigError) -> Self {
        Self {
            severity: Severity::Error,
            setting: error.setting_name().unwrap_or_default().to_owned(),
            origin: error.origin().cloned(),
            reason: error.text().to_owned(),
            remedy: error.remedy().unwrap_or_default().into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, "{severity}: {}", self.place())?;
        write!(f, "{}", self.reason)?;
        match self.remedy.text.as_str() {
            "" => Ok(()),
            remedy => write!(f, "\n  help: {remedy}"),
        }
    }
}

impl Finding {
    /// Where it is, as a prefix: `stockade.toml:7: rate_limit.by_ip: `.
    pub fn place(&self) -> String {
        let setting = Some(self.setting.as_str()).filter(|setting| !setting.is_empty());
        let origin = self.origin.as_ref().map(ToString::to_string);
        let parts = origin.into_iter().chain(setting.map(str::to_owned));
        parts.map(|part| format!("{part}: ")).collect()
    }
}

/// All that a fence refuses about a configuration, and all that is unsafe for production, the
/// worst first.
///
/// ```
/// use stockade::{Config, Environment, Format, Severity, DeploymentFacts, check};
///
/// let text = "
///     [auth]
///     keys_file = 'keys.yaml'
///     [cors]
///     allow_origins = '*'
///     allow_credentials = true
/// ";
/// let config = Config::parse(text, Format::Toml, &Environment::default())?;
/// let findings = check(&config, &DeploymentFacts::default());
/// assert_eq!(findings[0].severity, Severity::Error);
/// assert_eq!(findings[0].setting, "cors.allow_credentials");
/// # Ok::<(), stockade::ConfigError>(())
/// ```
pub fn check(config: &Config, facts: &DeploymentFacts) -> Vec<Finding> {
    let faults = fence::faults(config).into_iter();
    let found: Vec<_> = faults.map(Finding::from).collect();
    let mut findings = Findings {
        faults: found.len(),
        found,
        config,
    };
    for warning in config.warnings() {
        findings.found.push(Finding {
            severity: Severity::Warning,
            setting: String::new(),
            origin: Some(warning.origin().clone()),
            reason: warning.text().to_owned(),
            remedy: warning.remedy().clone(),
        });
    }
    network::cors(config, &mut findings);
    network::listener(config, facts, &mut findings);
    network::proxies(config, &mut findings);
    secrets::keys(config, facts, &mut findings);
    needs::check(config, facts, &mut findings);
    secrets::tokens(config, facts, &mut findings);
    guards::limits(config, &mut findings);
    guards::store(config, &mut findings);
    guards::abuse(config, &mut findings);
    deny_list::check(config, facts.deny_list.as_ref(), &mut findings);
    guards::routes(config, &mut findings);
    guards::audit(config, &mut findings);
    let mut found = findings.found;
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// What was found so far.
struct Findings<'c> {
    found: Vec<Finding>,
    /// The number of them that a fence refuses; these come first.
    faults: usize,
    config: &'c Config,
}

#[cfg(test)]
impl<'c> Findings<'c> {
    fn none(config: &'c Config) -> Self {
        Self {
            found: Vec::new(),
            faults: 0,
            config,
        }
    }
}

impl Findings<'_> {
    fn error(&mut self, setting: &str, reason: impl Into<String>, remedy: impl Into<Remedy>) {
        self.add(Severity::Error, setting, reason.into(), remedy.into());
    }

    fn warning(&mut self, setting: &str, reason: impl Into<String>, remedy: impl Into<Remedy>) {
        self.add(Severity::Warning, setting, reason.into(), remedy.into());
    }

    /// What a fence refuses already is not said twice.
    fn add(&mut self, severity: Severity, setting: &str, reason: String, remedy: Remedy) {
        let mut found = self.found.iter_mut().take(self.faults);
        let refused = found.find(|finding| finding.setting == setting);
        if let Some(refused) = refused
            && severity == Severity::Error
        {
            refused.remedy.changes.extend(remedy.changes);
            return;
        }
        self.found.push(Finding {
            severity,
            setting: setting.to_owned(),
            origin: self.config.origins().nearest(setting).cloned(),
            reason,
            remedy,
        });
    }
}
