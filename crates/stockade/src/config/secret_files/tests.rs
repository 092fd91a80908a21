use std::{fs, path::PathBuf};

use tempfile::TempDir;

use crate::{Config, ConfigError, Environment, SettingOrigin};

const URL: &str = "redis://:hunter2@host";

/// A folder with a configuration and a secret.
struct Folder(TempDir);

impl Folder {
    fn new(store: &str) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        let text = format!("[auth]\nkeys_file = \"k\"\n[store]\non_failure = \"deny\"\n{store}\n");
        fs::write(folder.path("stockade.toml"), text).unwrap();
        folder.write("redis-url", &format!("{URL}\n"), 0o600);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).unwrap();
        }
        #[cfg(not(unix))]
        let _ = mode;
    }

    fn read(&self, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let environment = Environment::new(variables.iter().copied());
        Config::read(self.path("stockade.toml"), &environment)
    }
}

const FILE_VARIABLE: (&str, &str) = ("STOCKADE_STORE__REDIS_FILE", "redis-url");

fn url(config: &Config) -> &str {
    config.store.as_ref().unwrap().redis.expose()
}

#[test]
fn reads_the_file_of_a_setting_or_variable() {
    let setting = Folder::new("redis_file = \"redis-url\"").read(&[]).unwrap();
    let variable = Folder::new("").read(&[FILE_VARIABLE]).unwrap();
    for config in [&setting, &variable] {
        assert_eq!(url(config), URL);
        assert!(config.warnings().is_empty(), "{:?}", config.warnings());
        assert!(!format!("{config:?}").contains("hunter2"));
    }
    let line = setting.origin("store.redis");
    assert!(matches!(
        line,
        Some(SettingOrigin::File { line: Some(5), .. })
    ));
    let name = variable.origin("store.redis").unwrap().as_variable();
    assert_eq!(name, Some(FILE_VARIABLE.0));
}

#[test]
fn variables_take_precedence_in_both_forms() {
    let other = "redis://other";
    let folder = Folder::new(&format!("redis = \"{other}\""));
    assert_eq!(url(&folder.read(&[FILE_VARIABLE]).unwrap()), URL);
    let folder = Folder::new("redis_file = \"redis-url\"");
    let variable = ("STOCKADE_STORE__REDIS", other);
    assert_eq!(url(&folder.read(&[variable]).unwrap()), other);
    let both = folder.read(&[variable, FILE_VARIABLE]).unwrap_err();
    assert!(both.text().contains("cannot be combined"), "{both}");
}

#[test]
fn names_the_file_that_cannot_be_used() {
    for (lines, content, text) in [
        ("redis_file = \"none\"", None, "cannot read"),
        ("redis_file = \"redis-url\"", Some(" \n"), "is empty"),
        ("redis_file = 3", None, "expected a path, found a number"),
        (
            "redis_file = \"redis-url\"\nredis = \"redis://host\"",
            None,
            "cannot be combined with store.redis",
        ),
    ] {
        let folder = Folder::new(lines);
        if let Some(content) = content {
            folder.write("redis-url", content, 0o600);
        }
        let error = folder.read(&[]).unwrap_err().to_string();
        assert!(
            error.contains("stockade.toml:5: store.redis_file: "),
            "{error}"
        );
        assert!(error.contains(text), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[cfg(unix)]
#[test]
fn warns_of_a_file_that_every_user_can_read() {
    let folder = Folder::new("redis_file = \"redis-url\"");
    for (mode, count) in [(0o600, 0), (0o640, 0), (0o644, 1)] {
        folder.write("redis-url", URL, mode);
        let config = folder.read(&[]).unwrap();
        assert_eq!(config.warnings().len(), count, "{mode:o}");
    }
}

/// Kubernetes replaces the link `..data`, to which the links of all secrets point.
#[cfg(unix)]
#[test]
fn follows_links_to_the_new_secret() {
    use std::os::unix::fs::symlink;

    let folder = Folder::new("redis_file = \"mount/redis-url\"");
    for (version, url) in [("..1", "redis://one"), ("..2", "redis://two")] {
        fs::create_dir_all(folder.path("mount").join(version)).unwrap();
        folder.write(&format!("mount/{version}/redis-url"), url, 0o600);
    }
    symlink("..1", folder.path("mount/..data")).unwrap();
    symlink("..data/redis-url", folder.path("mount/redis-url")).unwrap();
    let old = folder.read(&[]).unwrap();
    assert_eq!(url(&old), "redis://one");
    symlink("..2", folder.path("mount/..new")).unwrap();
    fs::rename(folder.path("mount/..new"), folder.path("mount/..data")).unwrap();
    let new = folder.read(&[]).unwrap();
    assert_eq!(url(&new), "redis://two");
    let changed = old.located_settings().differences(new.located_settings());
    assert_eq!(changed, ["store.redis"]);
}
