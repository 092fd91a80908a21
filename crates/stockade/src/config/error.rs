//! The error of an invalid configuration.

use std::{error::Error, fmt};

use super::{SettingOrigin, Settings};

/// An invalid configuration: the origin of the value, the setting, the problem, and a remedy.
///
/// `Display` and `Debug` write one line; `{error:#}` writes the remedy on a separate line.
pub struct ConfigError(Box<Inner>);

struct Inner {
    origin: Option<SettingOrigin>,
    setting: Option<String>,
    text: String,
    help: Option<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            origin: None,
            setting: None,
            text: text.into(),
            help: None,
            source: None,
        }))
    }

    /// Creates the error of a setting, for programs with sections of their own.
    pub fn setting(setting: impl Into<String>, text: impl Into<String>) -> Self {
        let mut error = Self::new(text);
        error.0.setting = Some(setting.into());
        error
    }

    /// Wraps the error of a component in the error of its setting.
    pub(crate) fn of(setting: &str, source: impl Error + Send + Sync + 'static) -> Self {
        let mut error = Self::setting(setting, source.to_string());
        error.0.source = Some(Box::new(source));
        error
    }

    pub(super) fn at(mut self, origin: SettingOrigin) -> Self {
        self.0.origin.get_or_insert(origin);
        self
    }

    /// Adds a remedy.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds the origin of its setting, unless it has one.
    pub(crate) fn locate(mut self, settings: &Settings) -> Self {
        if self.0.origin.is_none()
            && let Some(setting) = &self.0.setting
        {
            self.0.origin = settings.nearest_origin(setting).cloned();
        }
        self
    }

    /// The origin of the value: a line of the file or a variable.
    pub fn origin(&self) -> Option<&SettingOrigin> {
        self.0.origin.as_ref()
    }

    /// The problem, without origin and setting.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// The origin, the setting and the problem, without the remedy.
    pub fn summary(&self) -> String {
        let Inner {
            origin,
            setting,
            text,
            ..
        } = &*self.0;
        let place = origin.as_ref().map(|origin| format!("{origin}: "));
        let setting = setting.as_ref().filter(|setting| !setting.is_empty());
        let setting = setting.map(|setting| format!("{setting}: "));
        format!(
            "{}{}{text}",
            place.unwrap_or_default(),
            setting.unwrap_or_default()
        )
    }

    /// The path of the setting, such as `rate_limit.by_ip`.
    pub fn setting_name(&self) -> Option<&str> {
        self.0.setting.as_deref()
    }

    /// The remedy, if there is one.
    pub fn remedy(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary())?;
        match &self.0.help {
            Some(help) if f.alternate() => write!(f, "\n  help: {help}"),
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for ConfigError {
    /// The same as `Display`, because `main` prints returned errors with `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.source.as_deref()? as _)
    }
}
