//! `[auth]` and `[[routes]]`: authentication and access rules.

use std::{fs, io, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error};
use stockade_core::identity::Scope;
use stockade_key_auth::Pepper;

use super::{
    BodyProfile, ConfigError, methods,
    value::{self, SecretUrl},
};

/// `[auth]`: authentication by keys and tokens. Keys are required.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct AuthConfig {
    /// The file (YAML, TOML or JSON) with the hashes of the keys. The file is watched.
    pub keys_file: Option<PathBuf>,
    /// The database with the hashes of the keys, for servers that share them:
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`. Replaces `keys_file`.
    /// `keys_database_file` names a file with it instead.
    pub keys_database: Option<SecretUrl>,
    /// A file with the pepper of keys created with `--pepper-file`: at least 16 bytes, better
    /// 32 random ones. One trailing line break is ignored. Without the pepper, these keys are
    /// refused.
    pub pepper_file: Option<PathBuf>,
    /// The realm of the `WWW-Authenticate` challenge.
    #[serde(default = "AuthConfig::realm")]
    pub realm: String,
    /// Tokens that are accepted in addition to keys.
    pub tokens: Option<TokensConfig>,
}

impl AuthConfig {
    fn realm() -> String {
        "api".to_owned()
    }

    /// Reads the pepper; `None` if no file is set. Blocks.
    ///
    /// Logs a warning if users other than the owner can read the file.
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
                "not a regular file",
            )));
        }
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
            let path = path.display();
            tracing::warn!("{SETTING}: other users can read {path}; run `chmod 600 {path}`");
        }
        Pepper::read(path).map(Some).map_err(failed)
    }
}

/// `[auth.tokens]`: access tokens (JWT) of one issuer.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct TokensConfig {
    /// The issuer; `iss` must match exactly.
    pub issuer: String,
    /// The audience; `aud` must be or contain it.
    pub audience: String,
    /// The only accepted algorithm: `EdDSA`, `ES256`, `RS256`, `HS256`, …
    pub algorithm: String,
    /// A file with the public key as PEM or JWKS, or with the secret for `HS…`. The file is
    /// watched: a replaced key takes effect within two seconds, and an invalid file changes
    /// nothing.
    pub key_file: PathBuf,
    /// A file with the ids (`jti`) of revoked tokens, as `stockade token revoke` writes it.
    /// The file is watched: a revoked token is refused within two seconds. If it is set, tokens
    /// without a `jti` are refused, because they cannot be revoked.
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

/// An entry of `[[routes]]`: the access rule of a route. Routes without a rule are denied.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct RouteConfig {
    /// The path, in the syntax of the router: `/v1/models/{id}`.
    #[serde(deserialize_with = "path")]
    pub path: String,
    /// Methods: `POST` or `["GET", "DELETE"]`. `GET` includes `HEAD`.
    #[serde(deserialize_with = "methods::list")]
    pub methods: Vec<http::Method>,
    /// `public`, `authenticated`, or the required scope: `chat:write`.
    #[serde(deserialize_with = "value::text")]
    pub access: RouteAccess,
    /// The type of its request bodies: `openai-chat`, `json`, `image`, … By default, any body
    /// up to `body.max_mb`.
    pub body: Option<BodyProfile>,
}

/// Deserializes a path, which begins with a slash.
fn path<'de, D>(deserializer: D) -> Result<String, D::Error>
where
    D: Deserializer<'de>,
{
    let path = String::deserialize(deserializer)?;
    match path.starts_with('/') {
        true => Ok(path),
        false => Err(D::Error::custom(format!(
            "{path:?} does not begin with a slash, so it matches no request"
        ))),
    }
}

/// The access rule of a route.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouteAccess {
    /// All requests.
    Public,
    /// Authenticated requests.
    Authenticated,
    /// Authenticated requests with this scope.
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
