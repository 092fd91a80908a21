//! Warnings about a configuration, and their remedies.

use std::fmt;

use serde::Serialize;

use super::SettingOrigin;

/// A problem that does not prevent the use of a configuration: a variable without an effect,
/// or one that weakens the security of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigWarning {
    origin: SettingOrigin,
    text: String,
    remedy: Remedy,
}

/// A remedy, as text and as machine-readable changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// The text for operators.
    pub text: String,
    /// The changes, in order. Where the right value depends on the deployment, the change has an
    /// example.
    pub changes: Vec<Change>,
}

/// One change of a [`Remedy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// Set this setting in the file to this TOML value.
    Set {
        /// The setting, such as `rate_limit.by_ip`.
        setting: String,
        /// The value, such as `"600/minute"`.
        value: String,
    },
    /// Remove this setting or section from the file.
    Remove {
        /// The setting or section.
        setting: String,
    },
    /// Unset this environment variable.
    Unset {
        /// The variable.
        variable: String,
    },
    /// Set this field of this entry in the key file.
    SetKey {
        /// The id of the key.
        key: String,
        /// The field, such as `expires_at`.
        field: String,
        /// Its value, without quotes.
        value: String,
    },
    /// Run this shell command in the folder of the configuration.
    Run {
        /// The command.
        command: String,
    },
}

impl Remedy {
    /// A remedy without changes.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            changes: Vec::new(),
        }
    }

    pub(crate) fn set(mut self, setting: &str, value: &str) -> Self {
        self.changes.push(Change::Set {
            setting: setting.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    pub(crate) fn remove(mut self, setting: &str) -> Self {
        self.changes.push(Change::Remove {
            setting: setting.to_owned(),
        });
        self
    }

    pub(crate) fn run(mut self, command: impl Into<String>) -> Self {
        self.changes.push(Change::Run {
            command: command.into(),
        });
        self
    }

    pub(crate) fn set_key(mut self, key: &str, field: &str, value: &str) -> Self {
        self.changes.push(Change::SetKey {
            key: key.to_owned(),
            field: field.to_owned(),
            value: value.to_owned(),
        });
        self
    }

    pub(crate) fn unset(mut self, variable: &str) -> Self {
        self.changes.push(Change::Unset {
            variable: variable.to_owned(),
        });
        self
    }
}

impl From<&str> for Remedy {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl ConfigWarning {
    pub(super) fn new(origin: SettingOrigin, text: impl Into<String>) -> Self {
        Self {
            origin,
            text: text.into(),
            remedy: Remedy::default(),
        }
    }

    pub(super) fn with_remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }

    /// Sets the remedy: unset a variable.
    pub(super) fn unset(self, variable: &str) -> Self {
        self.with_remedy(Remedy::text(format!("unset {variable}")).unset(variable))
    }

    /// The origin of the value.
    pub fn origin(&self) -> &SettingOrigin {
        &self.origin
    }

    /// The problem.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The remedy.
    pub fn remedy(&self) -> &Remedy {
        &self.remedy
    }
}

impl fmt::Display for ConfigWarning {
    /// Writes one line; `{warning:#}` writes the remedy on a separate line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)?;
        match f.alternate() {
            true => write!(f, "\n  help: {}", self.remedy.text),
            false => write!(f, "; {}", self.remedy.text),
        }
    }
}
