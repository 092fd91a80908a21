//! The error of the deserializer, before its file and section are known.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use super::SettingOrigin;

/// An invalid value, described without Rust terms.
#[derive(Debug)]
pub(super) struct DeError {
    pub(super) kind: DeErrorKind,
    /// The keys of the enclosing settings, the innermost first.
    pub(super) path: Vec<String>,
    pub(super) origin: Option<SettingOrigin>,
}

#[derive(Debug)]
pub(super) enum DeErrorKind {
    Text(String),
    Missing(&'static str),
    UnknownField {
        name: String,
        known: &'static [&'static str],
    },
    UnknownChoice {
        given: String,
        known: &'static [&'static str],
    },
}

impl DeError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self::of(DeErrorKind::Text(text.into()))
    }

    fn of(kind: DeErrorKind) -> Self {
        Self {
            kind,
            path: Vec::new(),
            origin: None,
        }
    }

    /// Adds an origin, unless a more precise one is set.
    pub(super) fn at(mut self, origin: &SettingOrigin) -> Self {
        self.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Adds the key of the enclosing setting.
    pub(super) fn within(mut self, key: impl Into<String>) -> Self {
        self.path.push(key.into());
        self
    }

    /// The path of the setting: `routes[0].path`; empty for the whole configuration.
    pub(super) fn setting(&self) -> String {
        let mut setting = String::new();
        for key in self.path.iter().rev() {
            if !setting.is_empty() && !key.starts_with('[') {
                setting.push('.');
            }
            setting.push_str(key);
        }
        setting
    }
}

impl fmt::Display for DeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DeErrorKind::Text(text) => f.write_str(text),
            DeErrorKind::Missing(name) => write!(f, "missing field `{name}`"),
            DeErrorKind::UnknownField { name, .. } => write!(f, "unknown field `{name}`"),
            DeErrorKind::UnknownChoice { given, known } => {
                write!(f, "{given:?} is not one of: {}", known.join(", "))
            }
        }
    }
}

impl std::error::Error for DeError {}

impl de::Error for DeError {
    fn custom<T>(message: T) -> Self
    where
        T: fmt::Display,
    {
        let message = message.to_string();
        Self::new(message.lines().collect::<Vec<_>>().join(", "))
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let kind = match unexpected {
            Unexpected::Bool(_) => "true or false",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
            Unexpected::Str(_) | Unexpected::Char(_) => "a string",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a section",
            _ => "nothing",
        };
        Self::new(format!("is {kind}, but must be {expected}"))
    }

    fn invalid_value(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match unexpected {
            Unexpected::Unsigned(0) | Unexpected::Signed(0) => Self::new("must be at least 1"),
            _ => Self::new(format!("must be {expected}")),
        }
    }

    fn unknown_variant(given: &str, known: &'static [&'static str]) -> Self {
        Self::of(DeErrorKind::UnknownChoice {
            given: given.to_owned(),
            known,
        })
    }

    fn unknown_field(name: &str, known: &'static [&'static str]) -> Self {
        Self::of(DeErrorKind::UnknownField {
            name: name.to_owned(),
            known,
        })
    }

    fn missing_field(name: &'static str) -> Self {
        Self::of(DeErrorKind::Missing(name))
    }
}
