//! Finds unsafe settings of a configuration, with remedies.

use std::fmt;

use crate::{Config, ConfigError, Remedy, SettingOrigin, fence};

mod deny_list;
mod facts;
mod guards;
mod key_requirements;
mod network;
mod secrets;

pub use facts::DeploymentFacts;
pub(crate) use key_requirements::missing_settings;

/// The severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Should be improved.
    Warning,
    /// Not fit for production.
    Error,
}

/// An unsafe setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The severity.
    pub severity: Severity,
    /// The path of the setting.
    pub setting: String,
    /// The origin of the value; `None` for a default.
    pub origin: Option<SettingOrigin>,
    /// The problem and its consequence.
    pub reason: String,
    /// The remedy.
    pub remedy: Remedy,
}

impl From<ConfigError> for Finding {
    /// A setting that a fence refuses is an error.
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
        write!(f, "{severity}: {}", self.location())?;
        write!(f, "{}", self.reason)?;
        match self.remedy.text.as_str() {
            "" => Ok(()),
            remedy => write!(f, "\n  help: {remedy}"),
        }
    }
}

impl Finding {
    /// The origin and the setting as a prefix: `stockade.toml:7: rate_limit.by_ip: `.
    pub fn location(&self) -> String {
        let setting = Some(self.setting.as_str()).filter(|setting| !setting.is_empty());
        let origin = self.origin.as_ref().map(ToString::to_string);
        let parts = origin.into_iter().chain(setting.map(str::to_owned));
        parts.map(|part| format!("{part}: ")).collect()
    }
}

/// Returns everything in a configuration that a fence refuses or that is unsafe in production,
/// errors first.
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
    let errors = fence::validate(config).into_iter();
    let found: Vec<_> = errors.map(Finding::from).collect();
    let mut findings = Findings {
        refused: found.len(),
        found,
        config,
    };
    findings.found.extend(facts.pepper_error.clone());
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
    key_requirements::check(config, facts, &mut findings);
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

/// The findings so far.
struct Findings<'c> {
    found: Vec<Finding>,
    /// The number of findings that a fence refuses; these are at the start.
    refused: usize,
    config: &'c Config,
}

#[cfg(test)]
impl<'c> Findings<'c> {
    fn none(config: &'c Config) -> Self {
        Self {
            found: Vec::new(),
            refused: 0,
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

    /// Adds a finding. An error about a setting that the fence refuses is merged into that
    /// finding.
    fn add(&mut self, severity: Severity, setting: &str, reason: String, remedy: Remedy) {
        let mut found = self.found.iter_mut().take(self.refused);
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
            origin: self
                .config
                .located_settings()
                .nearest_origin(setting)
                .cloned(),
            reason,
            remedy,
        });
    }
}
