//! Refresh tokens, as a login endpoint uses them.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use stockade_core::{
    clock::{Clock, SystemClock},
    identity::ScopeSet,
};
use zeroize::Zeroizing;

use crate::{
    RefreshFamily, RefreshStore, RefreshStoreError, Rotation, RotationRequest, TokenDigest, random,
};

/// Opens logins, and puts a new refresh token in the place of each that is used.
///
/// A token is `rt.<family>.<secret>`, 128 and 256 random bits in base64url. The store has
/// the digests of both, so whoever reads it can log in as nobody.
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
    /// Keeps logins in this store.
    pub fn new(store: Arc<dyn RefreshStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock::new()),
            lifetime: DAY * 30,
            idle: DAY * 7,
        }
    }

    /// How long a login lasts however often it is used; 30 days by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long a login lasts when nobody uses it; 7 days by default.
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = idle;
        self
    }

    /// The clock that ends logins.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Opens a login, after its password or whatever else was verified.
    ///
    /// # Errors
    /// When the store is full or does not answer, or there is no randomness.
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

    /// Takes a refresh token and gives the next one, and whom it belongs to.
    ///
    /// # Errors
    /// When the token is not the newest of its login, which ends that login, or there is
    /// no such login any more, or the store does not answer. Tell the client the same for
    /// the first two: 400 and `invalid_grant`.
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

    /// Ends the login of a token. Whether there was one.
    ///
    /// # Errors
    /// When the store does not answer.
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

/// The secret name of a token's family; `None` for what is no refresh token.
fn family_of(text: &str) -> Option<&str> {
    let (family, secret) = text.strip_prefix("rt.")?.split_once('.')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let valid = text.len() == LENGTH && family.len() == 22;
    (valid && family.bytes().chain(secret.bytes()).all(plain)).then_some(family)
}

/// A refresh token. Its text is wiped on drop and never shown.
pub struct RefreshToken(Zeroizing<String>);

impl RefreshToken {
    fn new(family: &str) -> Result<Self, getrandom::Error> {
        let secret = random::text::<32>()?;
        // At full length: growing would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.extend(["rt.", family, ".", &**secret]);
        Ok(Self(text))
    }

    /// The token's text, for its owner.
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

/// What a refresh token was given for.
#[derive(Debug)]
pub struct RotatedToken {
    /// The token to use next time.
    pub token: RefreshToken,
    /// Who logged in; for [`TokenIssuer::issue`](crate::TokenIssuer::issue).
    pub subject: Box<str>,
    /// What the login may do.
    pub scopes: ScopeSet,
}

/// Why there is no next refresh token.
#[derive(Debug)]
pub struct RefreshError {
    kind: RefreshErrorKind,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of [`RefreshError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshErrorKind {
    /// There is no such login, or it has ended; the user has to log in.
    Unknown,
    /// The token was used before, by somebody; its login was ended. Worth an alert.
    Reused,
    /// The store has no room for another login.
    Full,
    /// The store or the operating system's randomness does not answer.
    Unavailable,
}

impl RefreshError {
    /// Its kind.
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
            RefreshErrorKind::Unknown => "the refresh token is of no login; log in again",
            RefreshErrorKind::Reused => "the refresh token was used before; its login was ended",
            RefreshErrorKind::Full => "there is no room for another login",
            RefreshErrorKind::Unavailable => "refresh tokens cannot be handled now; try again",
        })
    }
}

impl Error for RefreshError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
