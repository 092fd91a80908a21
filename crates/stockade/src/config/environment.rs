//! The environment variables of the configuration.

use std::{env, ffi::OsString, fmt};

use super::legacy;

/// The prefix of the variables that are settings.
pub(super) const PREFIX: &str = "STOCKADE_";

/// Environment variables that override the configuration file.
///
/// Holds only variables of this project: those whose names begin with `STOCKADE_`, and, after
/// [`legacy_names`](Self::legacy_names), those of [`LEGACY_NAMES`](crate::LEGACY_NAMES). Other
/// variables are ignored.
///
/// ```
/// use stockade::{Config, Environment, Format};
///
/// let file = "auth.keys_file = 'keys.yaml'\nrate_limit.by_ip = '600/minute'\n";
/// let environment = Environment::new([("STOCKADE_RATE_LIMIT__BY_IP", "100/minute")]);
/// let config = Config::parse(file, Format::Toml, &environment)?;
/// assert_eq!(config.rate_limit.by_ip[0].count(), 100);
///
/// let typo = Environment::new([("STOCKADE_RATE_LIMIT_BY_IP", "100/minute")]);
/// let error = Config::parse(file, Format::Toml, &typo).unwrap_err();
/// assert!(error.to_string().contains("STOCKADE_RATE_LIMIT__BY_IP"));
/// # Ok::<(), stockade::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<Variable>,
    legacy: bool,
}

#[derive(Clone)]
struct Variable {
    name: String,
    /// `None` if the value is not UTF-8.
    value: Option<String>,
}

impl Environment {
    /// Reads the variables of this process. Never panics: a setting that is not UTF-8 is an error of
    /// [`Config::read`](crate::Config::read), which names the variable.
    pub fn from_process() -> Self {
        let variables = env::vars_os().filter_map(|(name, value)| {
            // A name with the prefix that is not UTF-8 is refused as an unknown name; all
            // others are ignored.
            let name = name.to_string_lossy();
            is_relevant(&name).then(|| Variable {
                name: name.into_owned(),
                value: OsString::into_string(value).ok(),
            })
        });
        Self {
            variables: variables.collect(),
            legacy: false,
        }
    }

    /// Uses these variables and ignores those of the process.
    pub fn new<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let variables = variables.into_iter().map(|(name, value)| Variable {
            name: name.into(),
            value: Some(value.into()),
        });
        Self {
            variables: variables
                .filter(|variable| is_relevant(&variable.name))
                .collect(),
            legacy: false,
        }
    }

    /// Also reads the unprefixed names that similar servers use:
    /// [`LEGACY_NAMES`](crate::LEGACY_NAMES). They take precedence over the file, and
    /// `STOCKADE_…` takes precedence over them.
    pub fn legacy_names(mut self) -> Self {
        self.legacy = true;
        self
    }

    /// The names and values of the variables with the prefix.
    pub(super) fn prefixed(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let variables = self.variables.iter();
        variables
            .filter(|variable| variable.name.starts_with(PREFIX))
            .map(|variable| (&*variable.name, variable.value.as_deref()))
    }

    /// The names and values of the unprefixed variables; none unless they are enabled.
    pub(super) fn unprefixed(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let variables = self.variables.iter();
        variables
            .filter(|variable| self.legacy && !variable.name.starts_with(PREFIX))
            .map(|variable| (&*variable.name, variable.value.as_deref()))
    }
}

fn is_relevant(name: &str) -> bool {
    name.starts_with(PREFIX) || legacy::is_legacy(name)
}

impl fmt::Debug for Environment {
    /// Shows the names without the values, which may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.iter().map(|variable| &variable.name);
        f.debug_set().entries(names).finish()
    }
}
