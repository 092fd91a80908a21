//! From a file and the environment to a configuration.

use std::{fs, path::Path};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::{ConfigError, legacy};

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// YAML 1.2.
    Yaml,
}

impl Format {
    fn of(path: &Path) -> Result<Self, ConfigError> {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Ok(Self::Toml),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            _ => Err(ConfigError::new(
                "the name must end in .toml, .yaml or .yml",
            )),
        }
    }
}

/// The beginning of all variables that are settings.
const PREFIX: &str = "STOCKADE_";

pub(super) fn read<T, N, V>(
    path: &Path,
    environment: impl IntoIterator<Item = (N, V)>,
) -> Result<T, ConfigError>
where
    T: DeserializeOwned,
    N: AsRef<str>,
    V: AsRef<str>,
{
    let name = path.display().to_string();
    let format = Format::of(path).map_err(|error| error.within(&name))?;
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::new(format!("cannot read {name}: {error}")))?;
    parse(&text, format, environment).map_err(|error| error.within(&name))
}

/// Reads a configuration of any shape, such as one that holds the sections of a
/// [`Config`](crate::Config) among its own.
///
/// A variable `STOCKADE_SECTION__SETTING` comes before the text, and the
/// [names that people have](super::LEGACY_NAMES) come before both.
///
/// # Errors
/// When the text is not what it should be; the error says where.
pub fn parse<T, N, V>(
    text: &str,
    format: Format,
    environment: impl IntoIterator<Item = (N, V)>,
) -> Result<T, ConfigError>
where
    T: DeserializeOwned,
    N: AsRef<str>,
    V: AsRef<str>,
{
    let overrides = overrides(environment)?;
    match format {
        // Without anything to be merged, the parser still knows the lines.
        Format::Toml if overrides.is_empty() => {
            toml::from_str(text).map_err(|error| in_toml(text, &error))
        }
        Format::Toml => {
            let table = toml::from_str(text).map_err(|error| in_toml(text, &error))?;
            merged(table, overrides)
        }
        Format::Yaml => {
            let table = serde_saphyr::from_str(text)
                .map_err(|error| ConfigError::said(&error.to_string()))?;
            merged(table, overrides)
        }
    }
}

fn in_toml(text: &str, error: &toml::de::Error) -> ConfigError {
    let at = error.span().map_or(0, |span| span.start).min(text.len());
    let breaks = text.as_bytes()[..at].iter().filter(|byte| **byte == b'\n');
    ConfigError::said(error.message()).at_line(1 + breaks.count())
}

fn merged<T>(mut table: Table, overrides: Table) -> Result<T, ConfigError>
where
    T: DeserializeOwned,
{
    merge(&mut table, overrides);
    let merged = T::deserialize(table);
    merged.map_err(|error| ConfigError::said(error.to_string().trim()))
}

fn merge(table: &mut Table, overrides: Table) {
    for (name, value) in overrides {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(inner)), Value::Table(overrides)) => merge(inner, overrides),
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

/// The settings that the environment holds, as a table.
fn overrides<N, V>(environment: impl IntoIterator<Item = (N, V)>) -> Result<Table, ConfigError>
where
    N: AsRef<str>,
    V: AsRef<str>,
{
    let (mut ours, mut legacy) = (Table::new(), legacy::Names::default());
    for (name, text) in environment {
        let (name, text) = (name.as_ref(), text.as_ref());
        match name.strip_prefix(PREFIX) {
            Some(path) => {
                let path = path.to_ascii_lowercase();
                let path: Vec<&str> = path.split("__").collect();
                // Every setting is in a section; `STOCKADE_KEYS` is somebody else's.
                if path.len() < 2 {
                    continue;
                }
                set(&mut ours, &path, value(text))
                    .map_err(|()| ConfigError::new("two variables contradict each other"))
                    .map_err(|error| error.within(name))?;
            }
            None => legacy.note(name, text),
        }
    }
    let mut all = legacy.into_table()?;
    merge(&mut all, ours);
    Ok(all)
}

/// Sets the value at the end of this path.
pub(super) fn set(table: &mut Table, path: &[&str], value: Value) -> Result<(), ()> {
    match path {
        [] => Err(()),
        [name] => {
            let before = table.insert((*name).to_owned(), value);
            before.is_none().then_some(()).ok_or(())
        }
        [name, rest @ ..] => {
            let inner = table.entry(*name).or_insert_with(|| Table::new().into());
            set(inner.as_table_mut().ok_or(())?, rest, value)
        }
    }
}

/// A number, a truth value or a list where it reads as one, and else a text.
pub(super) fn value(text: &str) -> Value {
    let parsed = toml::from_str::<Table>(&format!("value = {text}"));
    parsed
        .ok()
        .and_then(|mut table| table.remove("value"))
        .filter(|value| {
            value.is_integer() || value.is_float() || value.is_bool() || value.is_array()
        })
        .unwrap_or_else(|| Value::from(text))
}
