//! Locates and opens key stores.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use percent_encoding::percent_decode_str;
use stockade_key_auth::{FileKeyStore, KeyId, KeyRecord, KeyStore, KeyStoreError};
use stockade_sqlx::SqlKeyStore;
use url::Url;

use crate::CliError;

/// The location of a key store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreLocation {
    File(PathBuf),
    /// A URL `sqlite:PATH`.
    Sqlite(String),
    /// A URL `postgres:…`, which may contain a password.
    Postgres(Url),
}

/// The behaviour if a store does not exist.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum IfMissing {
    Create,
    Fail,
}

const STORE_VARIABLE: &str = "STOCKADE_KEYS";
const FORMATS: &str = "set --store or STOCKADE_KEYS to a file, for example keys.yaml, or to a \
                       database, for example sqlite:keys.db or postgres://user@host/database";

impl StoreLocation {
    /// The store of the flag, else of the environment, else `keys.yaml`.
    pub(crate) fn resolve(flag: Option<String>) -> Result<Self, CliError> {
        if let Some(text) = flag {
            let location = Self::parse(&text)?;
            if location.has_password() {
                return Err(password_in_arguments("--store").with_help(format_args!(
                    "set {STORE_VARIABLE} to the URL, or PGPASSWORD to the password"
                )));
            }
            return Ok(location);
        }
        match env::var(STORE_VARIABLE) {
            Ok(text) if !text.is_empty() => Self::parse(&text),
            Err(env::VarError::NotUnicode(_)) => Err(CliError::usage(format_args!(
                "{STORE_VARIABLE} is not UTF-8"
            ))
            .with_help(FORMATS)),
            _ => Ok(Self::File("keys.yaml".into())),
        }
    }

    fn parse(text: &str) -> Result<Self, CliError> {
        // Errors do not quote the text: it may contain a password.
        match text.split_once(':') {
            Some(("sqlite", _)) => Ok(Self::Sqlite(text.to_owned())),
            Some(("postgres" | "postgresql", _)) => {
                Url::parse(text).map(Self::Postgres).map_err(|error| {
                    CliError::usage(format_args!("invalid database URL: {error}"))
                        .with_help(FORMATS)
                })
            }
            Some((scheme, rest)) if rest.starts_with("//") => Err(CliError::usage(format_args!(
                "{scheme}:// is not a supported key store"
            ))
            .with_help(FORMATS)),
            _ if text.is_empty() => {
                Err(CliError::usage("the key store is empty").with_help(FORMATS))
            }
            _ => Ok(Self::File(text.into())),
        }
    }

    fn has_password(&self) -> bool {
        let Self::Postgres(url) = self else {
            return false;
        };
        url.password().is_some() || url.query_pairs().any(|(name, _)| name == "password")
    }

    /// The database of this URL in the arguments; `None` for a file.
    pub(crate) fn database(text: &str) -> Result<Option<Self>, CliError> {
        let is_database = ["sqlite:", "postgres:", "postgresql:"]
            .iter()
            .any(|scheme| text.starts_with(scheme));
        if !is_database {
            return Ok(None);
        }
        let location = Self::parse(text)?;
        if location.has_password() {
            return Err(password_in_arguments("the URL")
                .with_help("set PGPASSWORD to the password, and omit it from the URL"));
        }
        Ok(Some(location))
    }

    /// Whether the store is this file.
    pub(crate) fn is_file(&self, path: &Path) -> bool {
        let Self::File(store) = self else {
            return false;
        };
        match (store.canonicalize(), path.canonicalize()) {
            (Ok(store), Ok(path)) => store == path,
            _ => store == path,
        }
    }

    /// Whether the store exists; a database server is assumed to.
    pub(crate) fn exists(&self) -> bool {
        let exists = |path: &Path| path.symlink_metadata().is_ok();
        match self {
            Self::File(path) => exists(path),
            Self::Sqlite(url) => exists(&sqlite_path(url)),
            Self::Postgres(_) => true,
        }
    }

    /// The records of the store; none if the store does not exist.
    pub(crate) async fn records(&self) -> Result<Vec<KeyRecord>, CliError> {
        match self.exists() {
            true => self.open(IfMissing::Fail).await?.list().await,
            false => Ok(Vec::new()),
        }
    }

    /// Opens the store.
    pub(crate) async fn open(&self, missing: IfMissing) -> Result<Store, CliError> {
        if missing == IfMissing::Fail && !self.exists() {
            return Err(
                CliError::failed(format_args!("the key store {self} does not exist")).with_help(
                    "create it with `stockade keys new`, or name another store with --store or \
                     STOCKADE_KEYS",
                ),
            );
        }
        Ok(Store(match self {
            Self::File(path) => Box::new(FileKeyStore::create_or_open_static(path)?),
            Self::Sqlite(url) => Box::new(SqlKeyStore::connect_static(url).await?),
            Self::Postgres(url) => Box::new(SqlKeyStore::connect_static(url.as_str()).await?),
        }))
    }
}

fn password_in_arguments(name: &str) -> CliError {
    CliError::usage(format_args!(
        "{name} contains a password, which every process on the machine can read"
    ))
}

/// The path in a URL `sqlite:PATH` or `sqlite://PATH`, as sqlx reads it.
pub(crate) fn sqlite_path(url: &str) -> PathBuf {
    let path = url.trim_start_matches("sqlite:").trim_start_matches("//");
    let path = path.split('?').next().unwrap_or_default();
    percent_decode_str(path).decode_utf8_lossy().as_ref().into()
}

/// Omits the user, password and parameters of a URL.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Sqlite(url) => write!(f, "sqlite:{}", sqlite_path(url).display()),
            Self::Postgres(url) => {
                write!(
                    f,
                    "{}://{}",
                    url.scheme(),
                    url.host_str().unwrap_or_default()
                )?;
                if let Some(port) = url.port() {
                    write!(f, ":{port}")?;
                }
                f.write_str(url.path())
            }
        }
    }
}

/// An open store.
pub(crate) struct Store(Box<dyn KeyStore>);

impl Store {
    pub(crate) fn keys(&self) -> &dyn KeyStore {
        &*self.0
    }

    pub(crate) async fn list(&self) -> Result<Vec<KeyRecord>, CliError> {
        Ok(self.0.list().await?)
    }

    /// The record with this id.
    pub(crate) async fn find(&self, id: &KeyId) -> Result<KeyRecord, CliError> {
        let records = self.0.list().await?;
        records
            .into_iter()
            .find(|record| record.id == *id)
            .ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &KeyId) -> CliError {
    CliError::from(KeyStoreError::not_found(id))
        .with_help("list the keys with `stockade keys list`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hides_and_refuses_passwords() {
        for url in [
            "postgres://user:hunter2@db/keys",
            "postgresql://user:hun@ter2@db/keys?sslmode=require",
            "postgres://user@db/keys?password=hunter2",
            "postgres://user@db/keys?pass%77ord=hunter2",
        ] {
            let location = StoreLocation::parse(url).unwrap();
            let shown = location.to_string();
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
            let error = StoreLocation::resolve(Some(url.to_owned())).err().unwrap();
            assert!(!error.to_string().contains("ter2"), "{error}");
        }
        assert!(StoreLocation::resolve(Some("postgres://user@db/keys".to_owned())).is_ok());
        for url in [
            "redis://user:hunter2@db",
            "postgres://user:hunter2@db:port/keys",
        ] {
            let error = StoreLocation::parse(url).err().unwrap();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn shows_locations() {
        for (text, shown) in [
            ("keys.yaml", "keys.yaml"),
            ("a:b.yaml", "a:b.yaml"),
            ("sqlite:keys%20of%20all.db", "sqlite:keys of all.db"),
            ("sqlite://keys.db?mode=ro", "sqlite:keys.db"),
            (
                "postgres://user:x@db:5433/keys?a=b",
                "postgres://db:5433/keys",
            ),
            ("postgres:///keys?host=/run/postgresql", "postgres:///keys"),
        ] {
            let location = StoreLocation::parse(text).unwrap();
            assert_eq!(location.to_string(), shown);
        }
    }
}
