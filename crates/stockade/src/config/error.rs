//! Why a configuration is refused.

use std::{error::Error, fmt};

use super::{Origin, Origins};

/// Why a configuration is refused: where the value comes from, which setting it is, what is
/// wrong with it, and how to fix it.
///
/// `Display` and `Debug` are one line; `{error:#}` has the remedy on a line of its own.
pub struct ConfigError(Box<Inner>);

struct Inner {
    origin: Option<Origin>,
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

    /// An error of a setting, for programs with sections of their own.
    pub fn setting(setting: impl Into<String>, text: impl Into<String>) -> Self {
        let mut error = Self::new(text);
        error.0.setting = Some(setting.into());
        error
    }

    /// A setting that some part of the fence refuses.
    pub(crate) fn of(setting: &str, source: impl Error + Send + Sync + 'static) -> Self {
        let mut error = Self::setting(setting, source.to_string());
        error.0.source = Some(Box::new(source));
        error
    }

    pub(super) fn at(mut self, origin: Origin) -> Self {
        self.0.origin.get_or_insert(origin);
        self
    }

    /// Says how to fix it.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Says where its setting was set, unless that is known.
    pub(crate) fn locate(mut self, origins: &Origins) -> Self {
        if self.0.origin.is_none()
            && let Some(setting) = &self.0.setting
        {
            self.0.origin = origins.nearest(setting).cloned();
        }
        self
    }

    /// Where the value comes from: a line of the file, or a variable.
    pub fn origin(&self) -> Option<&Origin> {
        self.0.origin.as_ref()
    }

    /// What is wrong, without the place.
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// All but the remedy: place, setting and what is wrong.
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

    /// The setting that it is about, such as `rate_limit.by_ip`.
    pub fn setting_name(&self) -> Option<&str> {
        self.0.setting.as_deref()
    }

    /// How to fix it, where that is known.
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
    /// As `Display`: it is what a `main` that returns it prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for ConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(self.0.source.as_deref()? as _)
    }
}
