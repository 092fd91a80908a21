//! `[auth]` and `[[routes]]`: who may use what.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error};
use stockade_core::identity::Scope;
use stockade_key_auth::Pepper;

use super::{
    BodyProfile, ConfigError, methods,
    value::{self, SecretUrl},
};

/// `[auth]`: who is known. There is no fence without keys or tokens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// The file (YAML, TOML or JSON) with the hashes of the keys. It is watched.
    pub keys_file: Option<PathBuf>,
    /// The database with the hashes of the keys, for several servers that share them:
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. In place of a file.
    pub keys_database: Option<SecretUrl>,
    /// A file with the pepper of the keys that were made with `--pepper-file`: 16 bytes or
    /// more, better 32 random ones. One line end after them is left out. Without it, these
    /// keys are refused.
    pub pepper_file: Option<PathBuf>,
    /// The realm of the challenge.
    #[serde(default = "AuthConfig::realm")]
    pub realm: String,
    /// Tokens that are taken besides keys.
    pub tokens: Option<TokensConfig>,
}

impl AuthConfig {
    fn realm() -> String {
        "api".to_owned()
    }

    /// Reads the pepper; `None` where there is none. Blocks.
    ///
    /// Logs a warning where others than the owner can read the file.
    ///
    /// # Errors
    /// When the file cannot be read, is not a regular file, or is too short.
    pub fn pepper(&self) -> Result<Option<Pepper>, ConfigError> {
        const SETTING: &str = "auth.pepper_file";

        let Some(path) = &self.pepper_file else {
            return Ok(None);
        };
        let failed = |error: io::Error| {
            let path = path.display();
            ConfigError::setting(SETTING, format!("cannot read {path}: {error}"))
        };
        // Opening a FIFO would wait for a writer.
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            )));
        }
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
            let path = path.display();
            tracing::warn!("{SETTING}: others can read {path}; close it with `chmod 600 {path}`");
        }
        Pepper::read(path).map(Some).map_err(failed)
    }
}

/// `[auth.tokens]`: access tokens (JWT) of one issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokensConfig {
    /// What `iss` must be, byte by byte.
    pub issuer: String,
    /// What `aud` must be or hold.
    pub audience: String,
    /// The one algorithm that is taken: `EdDSA`, `ES256`, `RS256`, `HS256`, …
    pub algorithm: String,
    /// A file with the public key as PEM or JWKS, or with the secret for `HS…`. It is
    /// watched: a key that was replaced is in force within two seconds, and a file that is
    /// not what it should be changes nothing.
    pub key_file: PathBuf,
    /// A file with the ids (`jti`) of revoked tokens, as `stockade token revoke` writes it.
    /// It is watched: a token is refused within two seconds. Where there is one, tokens
    /// without a `jti` are refused, since they could not be revoked.
    pub revoked_file: Option<PathBuf>,
    /// The claim with the scopes.
    #[serde(default = "TokensConfig::scope_claim")]
    pub scope_claim: String,
}

impl TokensConfig {
    fn scope_claim() -> String {
        "scope".to_owned()
    }
}

/// One of `[[routes]]`: who may use a route. What none names, nobody may.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// The path, as the router writes it: `/v1/models/{id}`.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// Methods, `POST` or `["GET", "DELETE"]`. `HEAD` goes with `GET`.
    #[serde(deserialize_with = "methods::list")]
    pub methods: Vec<http::Method>,
    /// `public`, `authenticated`, or the scope that is needed: `chat:write`.
    #[serde(deserialize_with = "value::text")]
    pub access: RouteAccess,
    /// What its requests carry: `openai-chat`, `json`, `image`, … Without it, anything up
    /// to `body.max_mb`.
    pub body: Option<BodyProfile>,
}

/// A path that a request can have.
fn path<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    let path = String::deserialize(deserializer)?;
    match path.starts_with('/') {
        true => Ok(path),
        false => Err(D::Error::custom(format!(
            "{path:?} matches no request: a path begins with a slash"
        ))),
    }
}

/// Who may use a route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteAccess {
    /// Everybody.
    Public,
    /// Whoever is known.
    Authenticated,
    /// Whoever has this scope.
    Scope(Scope),
}

impl std::str::FromStr for RouteAccess {
    type Err = stockade_core::identity::ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "public" => Ok(Self::Public),
            "authenticated" => Ok(Self::Authenticated),
            scope => scope.parse().map(Self::Scope),
        }
    }
}
