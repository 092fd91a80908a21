//! Locates and opens key stores.

use std::{
    env, fmt,
    path::{Path, PathBuf},
};

use stockade_key_auth::{FileKeyStore, KeyId, KeyRecord, KeyStore, KeyStoreError};
use stockade_sqlx::SqlKeyStore;

use crate::CliError;

/// The location of a key store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum StoreLocation {
    File(PathBuf),
    /// The URL of a database, which may contain a password.
    Database(String),
}

/// What to do if a store does not exist.
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
            return match location.has_password() {
                true => Err(CliError::usage(
                    "--store contains a password, which every process on the machine can read",
                )
                .with_help(format_args!(
                    "set {STORE_VARIABLE} to the URL, or PGPASSWORD to the password"
                ))),
                false => Ok(location),
            };
        }
        match env::var(STORE_VARIABLE) {
            Ok(text) if !text.is_empty() => Self::parse(&text),
            Err(env::VarError::NotUnicode(_)) => Err(CliError::usage(format_args!(
                "{STORE_VARIABLE} is not UTF-8"
            ))),
            _ => Ok(Self::File("keys.yaml".into())),
        }
    }

    fn parse(text: &str) -> Result<Self, CliError> {
        let known = ["sqlite:", "postgres:", "postgresql:"];
        if known.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Database(text.to_owned()));
        }
        match text.split_once("://") {
            // The rest may contain a password.
            Some((scheme, _)) => Err(CliError::usage(format_args!(
                "{scheme}:// is not a supported key store"
            ))
            .with_help(FORMATS)),
            None if text.is_empty() => {
                Err(CliError::usage("the key store is empty").with_help(FORMATS))
            }
            None => Ok(Self::File(text.into())),
        }
    }

    fn has_password(&self) -> bool {
        let Self::Database(url) = self else {
            return false;
        };
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        let user = address
            .split_once("://")
            .and_then(|(_, rest)| rest.rsplit_once('@'));
        user.is_some_and(|(user, _)| user.contains(':'))
            || query.split('&').any(|pair| pair.starts_with("password="))
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
        let path = match self {
            Self::File(path) => path,
            Self::Database(url) => match url.strip_prefix("sqlite:") {
                Some(rest) => {
                    let path = rest.strip_prefix("//").unwrap_or(rest);
                    Path::new(path.split('?').next().unwrap_or_default())
                }
                None => return true,
            },
        };
        path.symlink_metadata().is_ok()
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
                    "create it with `stockade keys new`, or name another one with --store or \
                     STOCKADE_KEYS",
                ),
            );
        }
        Ok(Store(match self {
            Self::File(path) => Box::new(FileKeyStore::create_or_open_static(path)?),
            Self::Database(url) => Box::new(SqlKeyStore::connect_static(url).await?),
        }))
    }
}

/// Omits the user, password and parameters of a URL.
impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Database(url) => {
                let url = url.split('?').next().unwrap_or_default();
                match url.split_once("://") {
                    Some((scheme, rest)) => {
                        let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
                        write!(f, "{scheme}://{host}")
                    }
                    None => f.write_str(url),
                }
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
        ] {
            let location = StoreLocation::parse(url).unwrap();
            let shown = location.to_string();
            assert!(!shown.contains("hun") && !shown.contains("ter2"), "{shown}");
            let error = StoreLocation::resolve(Some(url.to_owned())).err().unwrap();
            assert!(!error.to_string().contains("ter2"), "{error}");
        }
        assert!(StoreLocation::resolve(Some("postgres://user@db/keys".to_owned())).is_ok());
        let error = StoreLocation::parse("redis://user:hunter2@db")
            .err()
            .unwrap();
        assert!(!error.to_string().contains("hunter2"), "{error}");
    }
}
