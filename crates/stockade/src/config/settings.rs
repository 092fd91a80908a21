//! The settings that are set, with their origins.

use std::collections::BTreeMap;

use super::{
    SecretUrl, SettingOrigin,
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
    /// The value that is not shown.
    hidden: Option<SecretUrl>,
}

impl Setting {
    fn has_value_of(&self, other: &Self) -> bool {
        let hidden = [self, other].map(|setting| setting.hidden.as_ref().map(SecretUrl::expose));
        self.value == other.value && hidden[0] == hidden[1]
    }
}

/// All settings that are set. The others have their defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings(Vec<Setting>);

impl Settings {
    pub(super) fn of(table: &Table, schema: &Schema) -> Self {
        let leaves = table.leaves().into_iter();
        let settings = leaves.map(|(name, node)| {
            let (value, hidden) = match schema.kind(&name) {
                Some(Kind::Secret) => ("…".to_owned(), Some(SecretUrl::new(node.to_toml()))),
                _ => (node.to_toml(), None),
            };
            Setting {
                name,
                value,
                origin: node.origin.clone(),
                hidden,
            }
        });
        Self(settings.collect())
    }

    pub(crate) fn as_slice(&self) -> &[Setting] {
        &self.0
    }

    /// The names of the settings whose values differ between the two, or that only one has.
    pub(crate) fn differences<'a>(&'a self, other: &'a Self) -> Vec<&'a str> {
        let by_name = |settings: &'a Self| -> BTreeMap<&'a str, &'a Setting> {
            let settings = settings.0.iter();
            settings.map(|setting| (&*setting.name, setting)).collect()
        };
        let (old, mut new) = (by_name(self), by_name(other));
        let changed = old.into_iter().filter(|(name, old)| {
            let new = new.remove(name);
            new.is_none_or(|new| !new.has_value_of(old))
        });
        let mut names: Vec<_> = changed.map(|(name, _)| name).collect();
        names.extend(new.into_keys());
        names.sort_unstable();
        names
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

#[cfg(test)]
mod tests {
    use crate::{Config, Environment, Format};

    fn parse(text: &str) -> Config {
        let text = format!("[auth]\nkeys_file = \"k\"\n{text}");
        Config::parse(&text, Format::Toml, &Environment::default()).unwrap()
    }

    #[test]
    fn names_what_differs() {
        let old = parse("[body]\nmax_mb = 1\n[streams]\ncut = true\n[abuse]\nthreshold = 2\n");
        let new = parse("[body]\nmax_mb = 1\n[abuse]\nthreshold = 3\nban_secs = 1\n");
        let (old, new) = (old.located_settings(), new.located_settings());
        let expected = ["abuse.ban_secs", "abuse.threshold", "streams.cut"];
        assert_eq!(old.differences(new), expected);
        assert_eq!(new.differences(old), expected);
        assert!(old.differences(old).is_empty());
    }

    #[test]
    fn notices_a_new_password_without_showing_it() {
        let store = |password| {
            let url = format!("redis://:{password}@host");
            parse(&format!(
                "[store]\nredis = \"{url}\"\non_failure = \"deny\"\n"
            ))
        };
        let (old, new) = (store("hunter1"), store("hunter2"));
        let differences = old.located_settings().differences(new.located_settings());
        assert_eq!(differences, ["store.redis"]);
        assert!(!format!("{:?}", new.settings()).contains("hunter"));
    }
}
