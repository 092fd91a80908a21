//! Refresh tokens for login endpoints.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use stockade_core::{
    clock::{Clock, SystemClock},
    identity::ScopeSet,
};
use zeroize::Zeroizing;

use crate::{
    RefreshFamily, RefreshStore, RefreshStoreError, Rotation, RotationRequest, TokenDigest, random,
};

/// Issues and rotates refresh tokens.
///
/// A token is `rt.<family>.<secret>`, with 128 and 256 random bits in base64url. The store holds
/// digests only, so a leaked store does not reveal valid tokens.
///
/// ```
/// use std::{sync::Arc, time::Duration};
///
/// use stockade_jwt::{MemoryRefreshStore, RefreshErrorKind, RefreshTokens};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = RefreshTokens::new(Arc::new(MemoryRefreshStore::new(10_000)))
///     .lifetime(Duration::from_secs(30 * 86_400));
/// let first = tokens.issue("alice", "chat:write".parse()?).await?;
/// let second = tokens.rotate(first.expose()).await?;
/// assert_eq!(&*second.subject, "alice");
///
/// // A token is valid once; reuse ends the login.
/// let reused = tokens.rotate(first.expose()).await.unwrap_err();
/// assert_eq!(reused.kind(), RefreshErrorKind::Reused);
/// assert!(tokens.rotate(second.token.expose()).await.is_err());
/// # Ok(())
/// # }
/// ```
pub struct RefreshTokens {
    store: Arc<dyn RefreshStore>,
    clock: Arc<dyn Clock>,
    lifetime: Duration,
    idle: Duration,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// `rt.`, 22 characters, a dot, 43 characters.
const LENGTH: usize = 69;

impl RefreshTokens {
    /// Creates an instance with this store.
    pub fn new(store: Arc<dyn RefreshStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock::new()),
            lifetime: DAY * 30,
            idle: DAY * 7,
        }
    }

    /// Sets the maximum duration of a login; 30 days by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets how long an unused login lasts; 7 days by default.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// Sets the clock for the expiry of logins.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Issues the first token of a login, after the caller has verified the user.
    ///
    /// # Errors
    /// Returns an error when the store is full or does not respond, or when the operating system
    /// provides no randomness.
    pub async fn issue(
        &self,
        subject: &str,
        scopes: ScopeSet,
    ) -> Result<RefreshToken, RefreshError> {
        let family = random::text::<16>()?;
        let token = RefreshToken::new(&family)?;
        let now = self.clock.now();
        let login = RefreshFamily {
            subject: subject.into(),
            scopes,
            current: token.digest(),
            idle_expires: now + self.idle,
            expires: now + self.lifetime,
        };
        self.store
            .insert(TokenDigest::of(&family), login, now)
            .await?;
        Ok(token)
    }

    /// Exchanges a refresh token for the next one and the details of its login.
    ///
    /// # Errors
    /// Returns an error when the token is not the newest of its login, which ends the login; when
    /// the login has ended; or when the store does not respond. Respond to the first two alike,
    /// with 400 and `invalid_grant`.
    pub async fn rotate(&self, text: &str) -> Result<RotatedToken, RefreshError> {
        let family = family_of(text).ok_or(RefreshErrorKind::Unknown)?;
        let next = RefreshToken::new(family)?;
        let now = self.clock.now();
        let request = RotationRequest {
            presented: TokenDigest::of(text),
            next: next.digest(),
            idle_expires: now + self.idle,
            now,
        };
        match self.store.rotate(TokenDigest::of(family), request).await? {
            Rotation::Rotated { subject, scopes } => Ok(RotatedToken {
                token: next,
                subject,
                scopes,
            }),
            Rotation::Reused => Err(RefreshErrorKind::Reused.into()),
            Rotation::Unknown => Err(RefreshErrorKind::Unknown.into()),
        }
    }

    /// Ends the login of a token. Returns whether it existed.
    ///
    /// # Errors
    /// Returns an error when the store does not respond.
    pub async fn revoke(&self, text: &str) -> Result<bool, RefreshError> {
        match family_of(text) {
            Some(family) => Ok(self.store.remove(TokenDigest::of(family)).await?),
            None => Ok(false),
        }
    }
}

impl fmt::Debug for RefreshTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshTokens")
            .field("lifetime", &self.lifetime)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}

/// Returns the secret name of the family; `None` when the text is not a refresh token.
fn family_of(text: &str) -> Option<&str> {
    let (family, secret) = text.strip_prefix("rt.")?.split_once('.')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let valid = text.len() == LENGTH && family.len() == 22;
    (valid && family.bytes().chain(secret.bytes()).all(plain)).then_some(family)
}

/// A refresh token. The text is zeroized on drop, and `Debug` does not show it.
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    fn new(family: &str) -> Result<Self, getrandom::Error> {
        let secret = random::text::<32>()?;
        // Allocated at full size: reallocation would leave copies in memory.
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.extend(["rt.", family, ".", &**secret]);
        Ok(Self(text))
    }

    /// Returns the token, for its owner.
    pub fn expose(&self) -> &str {
        &self.0
    }

    fn digest(&self) -> TokenDigest {
        TokenDigest::of(&self.0)
    }
}

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

/// The result of a rotation.
#[derive(Debug)]
#[non_exhaustive]
pub struct RotatedToken {
    /// The next refresh token.
    pub token: RefreshToken,
    /// The subject of the login, for [`TokenIssuer::issue`](crate::TokenIssuer::issue).
    pub subject: Box<str>,
    /// The granted scopes.
    pub scopes: ScopeSet,
}

/// The error of issuing or rotating a refresh token.
#[derive(Debug)]
pub struct RefreshError {
    kind: RefreshErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`RefreshError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshErrorKind {
    /// The login does not exist or has ended; the user must log in again.
    Unknown,
    /// The token was used before, so its login was ended. Worth an alert.
    Reused,
    /// The store is full.
    Full,
    /// The store does not respond, or the operating system provides no randomness.
    Unavailable,
}

impl RefreshError {
    /// Returns the kind of the error.
    pub fn kind(&self) -> RefreshErrorKind {
        self.kind
    }
}

impl From<RefreshErrorKind> for RefreshError {
    fn from(kind: RefreshErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl From<RefreshStoreError> for RefreshError {
    fn from(error: RefreshStoreError) -> Self {
        Self {
            kind: match error.is_full() {
                true => RefreshErrorKind::Full,
                false => RefreshErrorKind::Unavailable,
            },
            source: Some(Box::new(error)),
        }
    }
}

impl From<getrandom::Error> for RefreshError {
    fn from(error: getrandom::Error) -> Self {
        Self {
            kind: RefreshErrorKind::Unavailable,
            source: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for RefreshError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RefreshErrorKind::Unknown => {
                "the login of the refresh token does not exist or has ended; log in again"
            }
            RefreshErrorKind::Reused => "the refresh token was used before; its login was ended",
            RefreshErrorKind::Full => "the store of refresh tokens is full",
            RefreshErrorKind::Unavailable => "refresh tokens are unavailable; try again later",
        })
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
