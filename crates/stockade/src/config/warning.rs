//! What is taken of a configuration, but should be known.

use std::fmt;

use serde::Serialize;

use super::Origin;

/// Something about a configuration that does not keep it from being used, but that people
/// should know: a variable without an effect, or one that loosens the security of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigWarning {
    origin: Origin,
    text: String,
    remedy: Remedy,
}

/// How something is fixed: words for people, and the same as changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remedy {
    /// For people.
    pub text: String,
    /// The changes, in this order. Values in them are examples where only the operator can
    /// know the right one.
    pub changes: Vec<Change>,
}

/// One change of a [`Remedy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Change {
    /// Set this setting in the file, to this value as TOML writes it.
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
    /// Run this command in the folder of the configuration.
    Run {
        /// For a shell.
        command: String,
    },
}

impl Remedy {
    /// Words alone.
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
    pub(super) fn new(origin: Origin, text: impl Into<String>) -> Self {
        Self {
            origin,
            text: text.into(),
            remedy: Remedy::default(),
        }
    }

    pub(super) fn remedy_is(mut self, remedy: Remedy) -> Self {
        self.remedy = remedy;
        self
    }

    /// The remedy is to unset a variable.
    pub(super) fn unset(self, variable: &str) -> Self {
        self.remedy_is(Remedy::text(format!("unset {variable}")).unset(variable))
    }

    /// Where it comes from.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What it is.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// How to fix it.
    pub fn remedy(&self) -> &Remedy {
        &self.remedy
    }
}

impl fmt::Display for ConfigWarning {
    /// One line; `{warning:#}` has the remedy on a line of its own.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.text)?;
        match f.alternate() {
            true => write!(f, "\n  help: {}", self.remedy.text),
            false => write!(f, "; {}", self.remedy.text),
        }
    }
}
