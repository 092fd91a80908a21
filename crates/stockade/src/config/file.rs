//! Parses a file into values with line numbers.

use std::{fmt, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_saphyr::Spanned as YamlSpanned;
use toml::{
    Spanned as TomlSpanned,
    de::{DeTable, DeValue},
};

use super::{
    ConfigError, SettingOrigin,
    node::{Entry, Node, Table, Value},
};

/// The format of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// YAML 1.2.
    Yaml,
}

impl Format {
    /// The format for the extension of this file.
    pub(super) fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }

    /// Parses the text of the file `origin`.
    pub(super) fn parse(self, text: &str, origin: &SettingOrigin) -> Result<Table, ConfigError> {
        match self {
            Self::Toml => toml_table(text, origin),
            Self::Yaml => yaml_table(text, origin),
        }
    }
}

fn toml_table(text: &str, origin: &SettingOrigin) -> Result<Table, ConfigError> {
    let lines = Lines { text, origin };
    match DeTable::parse(text) {
        Ok(table) => Ok(lines.table(table.get_ref())),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            Err(ConfigError::new(message).at(lines.at(at)))
        }
    }
}

/// Converts byte offsets of a text to lines.
struct Lines<'t> {
    text: &'t str,
    origin: &'t SettingOrigin,
}

impl Lines<'_> {
    fn at(&self, byte: usize) -> SettingOrigin {
        let before = &self.text.as_bytes()[..byte.min(self.text.len())];
        let breaks = before.iter().filter(|byte| **byte == b'\n').count();
        self.origin.at_line(1 + breaks)
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        let entry = |(key, value): (&TomlSpanned<_>, &TomlSpanned<DeValue<'_>>)| {
            let key_origin = self.at(key.span().start);
            let mut node = self.node(value);
            // The origin of a section is the line of its header.
            if matches!(node.value, Value::Table(_)) {
                node.origin = key_origin.clone();
            }
            Entry {
                key: ToString::to_string(key.get_ref()),
                key_origin,
                node,
            }
        };
        Table(table.iter().map(entry).collect())
    }

    fn node(&self, value: &TomlSpanned<DeValue<'_>>) -> Node {
        let origin = self.at(value.span().start);
        let value = match value.get_ref() {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Integer(number) => {
                match i128::from_str_radix(number.as_str(), number.radix()) {
                    Ok(number) => Value::Integer(number),
                    // Larger than any setting; refused once the type is known.
                    Err(_) => Value::Float(f64::INFINITY),
                }
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Datetime(time) => Value::Text(time.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.node(item)).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { value, origin }
    }
}

fn yaml_table(text: &str, origin: &SettingOrigin) -> Result<Table, ConfigError> {
    let parsed: Result<YamlSpanned<Yaml>, _> = serde_saphyr::from_str(text);
    let root = parsed.map_err(|error| {
        let error = error.without_snippet();
        let message = error.to_string();
        let message = message.lines().collect::<Vec<_>>().join(", ");
        let at = error
            .location()
            .and_then(|at| usize::try_from(at.line()).ok());
        let error = ConfigError::new(message);
        error.at(at.map_or_else(|| origin.clone(), |line| origin.at_line(line)))
    })?;
    match yaml_node(root, origin).value {
        Value::Table(table) => Ok(table),
        Value::Null => Ok(Table::default()),
        _ => Err(ConfigError::new("the file has no settings")
            .at(origin.clone())
            .help("start a section with its name and a colon, such as `auth:`")),
    }
}

enum Yaml {
    Scalar(Value),
    List(Vec<YamlSpanned<Yaml>>),
    Table(Vec<(YamlSpanned<String>, YamlSpanned<Yaml>)>),
}

fn yaml_node(yaml: YamlSpanned<Yaml>, file: &SettingOrigin) -> Node {
    let at = |line: u64| match usize::try_from(line) {
        Ok(line) if line > 0 => file.at_line(line),
        _ => file.clone(),
    };
    let origin = at(yaml.referenced.line());
    let value = match yaml.value {
        Yaml::Scalar(value) => value,
        Yaml::List(items) => Value::List(
            items
                .into_iter()
                .map(|item| yaml_node(item, file))
                .collect(),
        ),
        Yaml::Table(entries) => {
            let entry = |(key, value): (YamlSpanned<String>, _)| {
                let key_origin = at(key.referenced.line());
                let mut node = yaml_node(value, file);
                if matches!(node.value, Value::Table(_) | Value::Null) {
                    node.origin = key_origin.clone();
                }
                Entry {
                    key: key.value,
                    key_origin,
                    node,
                }
            };
            Value::Table(Table(entries.into_iter().map(entry).collect()))
        }
    };
    Node { value, origin }
}

impl<'de> Deserialize<'de> for Yaml {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        struct AnyYaml;

        impl<'de> Visitor<'de> for AnyYaml {
            type Value = Yaml;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("settings")
            }

            fn visit_unit<E>(self) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Null))
            }

            fn visit_none<E>(self) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Null))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Bool(value)))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Integer(value.into())))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Integer(value.into())))
            }

            fn visit_f64<E>(self, value: f64) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Float(value)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Yaml, E> {
                Ok(Yaml::Scalar(Value::Text(text.to_owned())))
            }

            fn visit_seq<A>(self, mut seq: A) -> Result<Yaml, A::Error>
            where
                A: SeqAccess<'de>,
            {
                let mut items = Vec::new();
                while let Some(item) = seq.next_element()? {
                    items.push(item);
                }
                Ok(Yaml::List(items))
            }

            fn visit_map<A>(self, mut map: A) -> Result<Yaml, A::Error>
            where
                A: MapAccess<'de>,
            {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Yaml::Table(entries))
            }
        }

        deserializer.deserialize_any(AnyYaml)
    }
}
