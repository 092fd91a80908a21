//! The files that settings name.

use std::path::PathBuf;

use super::{
    node::{Node, Table, Value},
    schema::{self, Schema},
};

/// A file that a setting names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingFile {
    /// The setting: `auth.keys_file`, `store.redis_file`, `models[0].upstream[0].ca_file`.
    pub setting: String,
    /// The path of the file.
    pub path: PathBuf,
}

impl SettingFile {
    /// The setting as [`Config::file_settings`](crate::Config::file_settings) lists it:
    /// `models[].upstream[].ca_file`.
    pub fn pattern(&self) -> String {
        schema::without_indices(&self.setting)
    }

    /// The file of a value; `None` if the value is not a string.
    pub(super) fn of(setting: String, node: &Node) -> Option<Self> {
        match &node.value {
            Value::Text(path) | Value::Untyped(path) => Some(Self {
                setting,
                path: path.into(),
            }),
            _ => None,
        }
    }

    /// The files of all settings that are set.
    pub(super) fn all(table: &Table, schema: &Schema) -> Vec<Self> {
        let leaves = table.leaves().into_iter();
        let files = leaves.filter(|(name, _)| schema.is_file(name));
        files
            .filter_map(|(name, node)| Self::of(name, node))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use serde::Deserialize;

    use crate::{Config, Environment, Format};

    #[derive(Deserialize)]
    struct Sections {
        #[serde(rename = "server")]
        _server: Option<Server>,
        #[serde(default, rename = "models")]
        _models: Vec<Model>,
    }

    #[derive(Deserialize)]
    struct Server {
        #[serde(rename = "name")]
        _name: Option<String>,
        #[serde(rename = "key_file")]
        _key_file: std::path::PathBuf,
    }

    #[derive(Deserialize)]
    struct Model {
        #[serde(default, rename = "upstream")]
        _upstream: Vec<Server>,
    }

    const TEXT: &str = "
        auth.keys_file = 'keys.yaml'
        auth.pepper_file = '/run/pepper'
        server = { name = 'no file', key_file = 'tls.key' }
        [[models]]
        [[models]]
        upstream = [{ key_file = 'a' }, { key_file = 'b', name = 'b' }]
    ";

    #[test]
    fn knows_the_files_of_all_types() {
        let files = Config::file_settings::<Sections>();
        for setting in [
            "auth.keys_file",
            "auth.tokens.revoked_file",
            "abuse.deny_list",
            "audit.security_file",
            "audit.database_file",
            "store.redis_file",
            "server.key_file",
            "models[].upstream[].key_file",
        ] {
            assert!(files.iter().any(|file| file == setting), "{setting}");
        }
        for setting in ["auth.realm", "server.name", "models[].upstream[].name"] {
            assert!(!files.iter().any(|file| file == setting), "{setting}");
        }
    }

    #[test]
    fn lists_the_files_that_are_set() {
        let environment = Environment::new([("STOCKADE_ABUSE__DENY_LIST", "bans.txt")]);
        let folder = Path::new("/etc/stockade");
        let (config, Sections { .. }) =
            Config::parse_in(folder, TEXT, Format::Toml, &environment).unwrap();
        let mut files: Vec<_> = config.files().iter().collect();
        files.sort_by_key(|file| &file.setting);
        let files: Vec<_> = files
            .into_iter()
            .map(|file| (file.setting.as_str(), file.path.to_str().unwrap()))
            .collect();
        let expected = [
            ("abuse.deny_list", "/etc/stockade/bans.txt"),
            ("auth.keys_file", "/etc/stockade/keys.yaml"),
            ("auth.pepper_file", "/run/pepper"),
            ("models[1].upstream[0].key_file", "/etc/stockade/a"),
            ("models[1].upstream[1].key_file", "/etc/stockade/b"),
            ("server.key_file", "/etc/stockade/tls.key"),
        ];
        assert_eq!(files, expected);
        let last = config.files().iter().find(|file| file.path.ends_with("b"));
        assert_eq!(last.unwrap().pattern(), "models[].upstream[].key_file");
    }

    #[test]
    fn lists_the_files_of_secrets() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("redis-url"), "redis://:hunter2@host").unwrap();
        let path = folder.path().join("stockade.toml");
        let store = "store = { redis_file = 'redis-url', on_failure = 'deny' }";
        fs::write(&path, format!("auth.keys_file = 'k'\n{store}\n")).unwrap();
        let config = Config::read(&path, &Environment::default()).unwrap();
        let mut files = config.files().iter();
        let file = files.find(|file| file.setting == "store.redis_file");
        assert_eq!(file.unwrap().path, folder.path().join("redis-url"));
        assert!(!format!("{:?}", config.files()).contains("hunter2"));
    }
}
