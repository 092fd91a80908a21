//! The settings that are set, with their origins.

use super::{
    SettingOrigin,
    node::Table,
    schema::{Kind, Schema},
};

/// A setting in the file or the environment, with its value and its origin.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setting {
    /// The path: `rate_limit.by_ip`, `routes[0].path`.
    pub name: String,
    /// The value in TOML syntax; `…` for a value that may contain a password.
    pub value: String,
    /// The origin of the value.
    pub origin: SettingOrigin,
}

/// All settings that are set. The others have their defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    pub(super) fn of(table: &Table, schema: &Schema) -> Self {
        let leaves = table.leaves().into_iter();
        let settings = leaves.map(|(name, node)| {
            let value = match schema.kind(&name) {
                Some(Kind::Secret) => "…".to_owned(),
                _ => node.to_toml(),
            };
            Setting {
                name,
                value,
                origin: node.origin.clone(),
            }
        });
        Self(settings.collect())
    }

    pub(crate) fn as_slice(&self) -> &[Setting] {
        &self.0
    }

    /// The origin of exactly this setting.
    pub(crate) fn origin(&self, name: &str) -> Option<&SettingOrigin> {
        let found = self.0.iter().find(|setting| setting.name == name);
        found.map(|setting| &setting.origin)
    }

    /// The origin of this setting, else of the first setting within it or in its section.
    pub(crate) fn nearest_origin(&self, name: &str) -> Option<&SettingOrigin> {
        if let Some(origin) = self.origin(name) {
            return Some(origin);
        }
        let within = |section: &str| {
            let mut settings = self.0.iter();
            settings.find(|setting| {
                let rest = setting.name.strip_prefix(section);
                rest.is_some_and(|rest| rest.starts_with(['.', '[']))
            })
        };
        let found = within(name).or_else(|| within(name.rsplit_once('.')?.0));
        found.map(|setting| &setting.origin)
    }
}
