//! Verifies tokens. The files with their key and revocations are watched.

use std::{
    error::Error,
    fs,
    io::{self, Read as _},
    path::Path,
    pin::Pin,
    sync::Arc,
};

use stockade_core::clock::{Clock, SystemClock, Timestamp};
use stockade_jwt::{
    Algorithm, JwtAuth, KeyError, KeySet, KeySource, LiveKeys, RevocationError, RevocationFile,
    RevocationStatus, RevocationStore, Secret, TokenRules, VerifyingKey,
};
use stockade_watch::{FileVersions, FileWatch, SourceHealth};
use zeroize::Zeroizing;

use crate::{Config, ConfigError, TokensConfig, fence::sources::Sources};

/// The largest key file; key sets of large identity providers have about ten KiB.
const MAX_KEY_FILE_SIZE: u64 = 1 << 20;

const KEY_FILE: &str = "auth.tokens.key_file";
const REVOKED_FILE: &str = "auth.tokens.revoked_file";

/// Verifies tokens as [`JwtAuth`] does.
pub(in crate::fence) type TokenAuth = JwtAuth;

/// A store of revoked tokens.
pub(in crate::fence) type Revocations = Arc<dyn RevocationStore>;

/// Builds the guard that verifies tokens. It keeps the watchers of its files alive.
pub(in crate::fence) fn guard(
    config: &TokensConfig,
    realm: &str,
    sources: &mut Sources,
    store: Option<Revocations>,
) -> Result<TokenAuth, ConfigError> {
    let keys = FollowedKeys::open(config)?;
    let health = keys.watch.health().clone();
    sources.add(KEY_FILE, config.key_file.display(), health);
    let guard = JwtAuth::new(keys, rules(config)).realm(realm);
    let file: Option<Revocations> = match &config.revoked_file {
        Some(path) => {
            let revoked = FollowedRevocations::open(path)?;
            let health = revoked.watch.health().clone();
            sources.add(REVOKED_FILE, path.display(), health);
            Some(Arc::new(revoked))
        }
        None => None,
    };
    Ok(match (file, store) {
        (Some(file), Some(store)) => guard.revocations(Arc::new(FileAndStore { file, store })),
        (Some(revoked), None) | (None, Some(revoked)) => guard.revocations(revoked),
        (None, None) => guard,
    })
}

/// The revocations of the file of the configuration, and those of the program.
struct FileAndStore {
    file: Revocations,
    store: Revocations,
}

impl RevocationStore for FileAndStore {
    fn status(&self, token_id: &str) -> RevocationStatus {
        match self.file.status(token_id) {
            RevocationStatus::NotRevoked => self.store.status(token_id),
            status => status,
        }
    }

    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        self.store.revoke(token_id, until, now)
    }
}

impl Config {
    /// Validates the key file and the revocation file of `[auth.tokens]` as a fence does.
    ///
    /// # Errors
    /// When a file cannot be read or is invalid.
    pub fn check_token_files(&self) -> Result<(), ConfigError> {
        let Some(tokens) = &self.auth.tokens else {
            return Ok(());
        };
        let revoked = tokens.revoked_file.as_deref().map(open);
        keys(tokens)
            .and_then(|_| revoked.transpose())
            .map(drop)
            .map_err(|error| error.locate(self.located_settings()))
    }
}

/// A key set that follows its file.
struct FollowedKeys {
    live: LiveKeys,
    watch: FileWatch,
}

impl FollowedKeys {
    fn open(config: &TokensConfig) -> Result<Self, ConfigError> {
        let versions = FileVersions::of([&config.key_file]);
        let live = LiveKeys::new(keys(config)?);
        let health = SourceHealth::new(named(KEY_FILE, &config.key_file));
        let (config, published) = (config.clone(), live.clone());
        let watch = FileWatch::start(versions, health, move || {
            keys(&config).map(|keys| published.publish(keys))
        });
        Ok(Self {
            live,
            watch: watch.map_err(|error| ConfigError::of(KEY_FILE, error))?,
        })
    }
}

impl KeySource for FollowedKeys {
    fn keys(&self) -> LiveKeys {
        self.live.clone()
    }
}

/// Revoked tokens that follow their file.
struct FollowedRevocations {
    file: RevocationFile,
    watch: FileWatch,
}

impl FollowedRevocations {
    fn open(path: &Path) -> Result<Self, ConfigError> {
        let versions = FileVersions::of([path]);
        let file = open(path)?;
        let health = SourceHealth::new(named(REVOKED_FILE, path));
        let followed = file.clone();
        let watch = FileWatch::start(versions, health, move || {
            followed.reload(SystemClock::new().now())
        });
        Ok(Self {
            file,
            watch: watch.map_err(|error| ConfigError::of(REVOKED_FILE, error))?,
        })
    }
}

impl RevocationStore for FollowedRevocations {
    fn status(&self, token_id: &str) -> RevocationStatus {
        self.file.status(token_id)
    }

    fn revoke<'s>(
        &'s self,
        token_id: &'s str,
        until: Timestamp,
        now: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Result<(), RevocationError>> + Send + 's>> {
        self.file.revoke(token_id, until, now)
    }
}

fn open(path: &Path) -> Result<RevocationFile, ConfigError> {
    RevocationFile::open(path, SystemClock::new().now())
        .map_err(|error| ConfigError::of(REVOKED_FILE, error))
}

fn named(setting: &str, path: &Path) -> String {
    format!("{setting} {}", path.display())
}

fn rules(config: &TokensConfig) -> TokenRules {
    TokenRules::new(&*config.issuer, &*config.audience)
        .scope_claim(&*config.scope_claim)
        // No subject of a token can equal the id of a key.
        .id_prefix("token:")
}

fn keys(config: &TokensConfig) -> Result<KeySet, ConfigError> {
    let algorithm: Algorithm = config
        .algorithm
        .parse()
        .map_err(|error| ConfigError::of("auth.tokens.algorithm", error))?;
    let file = config.key_file.display();
    let fault = |text: String| ConfigError::setting(KEY_FILE, format!("{file}: {text}"));
    let bytes =
        read(&config.key_file).map_err(|error| fault(format!("cannot be read: {error}")))?;
    parse(algorithm, &bytes).map_err(|error| match error.source() {
        // The source names the key of the set or the position in the text.
        Some(source) => fault(format!("{error}: {source}")),
        None => fault(error.to_string()),
    })
}

/// Reads a file. Refuses anything but a regular file before opening it, because opening a FIFO
/// waits for a writer.
fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let file = fs::File::open(path)?;
    file.take(MAX_KEY_FILE_SIZE + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_KEY_FILE_SIZE {
        true => Err(io::Error::other("larger than 1 MiB")),
        false => Ok(bytes),
    }
}

/// Parses a secret for HMAC algorithms, and JWKS or PEM for the others.
fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<KeySet, KeyError> {
    if algorithm.name().starts_with("HS") {
        // Editors and `echo` append a line break that is not part of the secret.
        let secret = Secret::new(bytes.trim_ascii_end())?;
        return Ok(KeySet::new([VerifyingKey::hmac(algorithm, &secret)?]));
    }
    let text = String::from_utf8_lossy(bytes);
    if text.trim_start().starts_with('{') {
        return KeySet::from_jwks(&text, &[algorithm]);
    }
    Ok(KeySet::new([VerifyingKey::pem(algorithm, &text)?]))
}
