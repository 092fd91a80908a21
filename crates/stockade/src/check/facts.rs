//! Facts about a deployment that are not in its configuration.

use std::{fs, net::SocketAddr, path::Path};

use stockade_abuse::{DenyList, DenyListReport};
use stockade_key_auth::{FileKeyStore, KeyRecord, KeyStore};

use crate::{Config, ConfigError, Finding};

/// Facts about a deployment that are not in its configuration.
#[derive(Clone, Debug, Default)]
pub struct DeploymentFacts {
    /// The listen address; `None` if it is unknown.
    pub listen: Option<SocketAddr>,
    /// Whether the server terminates TLS itself.
    pub tls: bool,
    /// Whether the server verifies certificates of clients; `None` if it is unknown.
    pub client_certificates: Option<bool>,
    /// The permission bits of the key file, if there is one.
    pub key_file_mode: Option<u32>,
    /// The permission bits of the pepper file, if there is one.
    pub pepper_file_mode: Option<u32>,
    /// Why the pepper file cannot be used, if so.
    pub pepper_error: Option<Finding>,
    /// All keys.
    pub keys: Vec<KeyRecord>,
    /// The secret that verifies tokens, for HMAC algorithms.
    pub token_secret: Option<Vec<u8>>,
    /// The report on the deny-list, if there is one.
    pub deny_list: Option<DenyListReport>,
}

impl DeploymentFacts {
    /// Reads the keys and files that a configuration names, without watching or changing them. The
    /// listener is not part of the configuration: set `listen`, `tls` and
    /// `client_certificates` of the result.
    ///
    /// # Errors
    /// When the keys or the deny-list cannot be read; a server does not start without them.
    pub async fn read(config: &Config) -> Result<Self, ConfigError> {
        let pepper = config.auth.pepper().err();
        Ok(Self {
            listen: None,
            tls: false,
            client_certificates: None,
            key_file_mode: config.auth.keys_file.as_deref().and_then(mode),
            pepper_file_mode: config.auth.pepper_file.as_deref().and_then(mode),
            pepper_error: pepper.map(|error| config.locate(error).into()),
            keys: keys(config).await?,
            token_secret: token_secret(config),
            deny_list: deny_list(config)?,
        })
    }
}

async fn keys(config: &Config) -> Result<Vec<KeyRecord>, ConfigError> {
    let store: Box<dyn KeyStore> = match (&config.auth.keys_file, &config.auth.keys_database) {
        (Some(file), _) => Box::new(FileKeyStore::open_static(file).map_err(unreadable)?),
        #[cfg(any(feature = "postgres", feature = "sqlite"))]
        (None, Some(url)) => {
            let store = stockade_sqlx::SqlKeyStore::connect_static(url.expose()).await;
            Box::new(store.map_err(unreadable)?)
        }
        #[cfg(not(any(feature = "postgres", feature = "sqlite")))]
        (None, Some(_)) => return Ok(Vec::new()),
        (None, None) => return Ok(Vec::new()),
    };
    store.list().await.map_err(unreadable)
}

/// The text names the file or the database.
fn unreadable(error: impl std::error::Error) -> ConfigError {
    ConfigError::new(error.to_string())
}

fn deny_list(config: &Config) -> Result<Option<DenyListReport>, ConfigError> {
    let list = config.abuse.deny_list.as_ref().map(DenyList::check);
    list.transpose().map_err(unreadable)
}

/// A file that cannot be read is a finding of its own.
fn token_secret(config: &Config) -> Option<Vec<u8>> {
    let tokens = config.auth.tokens.as_ref()?;
    let is_secret = tokens.algorithm.starts_with("HS");
    is_secret.then(|| fs::read(&tokens.key_file).ok()).flatten()
}

#[cfg(unix)]
fn mode(file: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(fs::metadata(file).ok()?.permissions().mode())
}

#[cfg(not(unix))]
fn mode(_file: &Path) -> Option<u32> {
    None
}
