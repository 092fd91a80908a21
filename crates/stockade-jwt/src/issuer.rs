//! Issuance of access tokens.

use std::{error::Error, fmt, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use stockade_core::{
    clock::{Clock, SystemClock, Timestamp},
    identity::ScopeSet,
};
use zeroize::Zeroizing;

use crate::{SigningKey, random};

/// Issues access tokens (RFC 9068), for a login endpoint or between services.
///
/// Tokens carry `iss`, `aud`, `sub`, `scope`, `jti`, `iat`, `nbf` and `exp`.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_jwt::{Algorithm, Secret, SigningKey, TokenIssuer};
///
/// let secret = Secret::new(b"thirty-two random bytes or more!")?;
/// let key = SigningKey::hmac(Algorithm::Hs256, &secret)?;
/// let issuer = TokenIssuer::new(key, "https://login.example.com", "https://api.example.com")
///     .lifetime(Duration::from_secs(300));
/// let token = issuer.issue("alice", &"chat:write".parse()?)?;
/// assert_eq!(token.expose().split('.').count(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct TokenIssuer {
    key: SigningKey,
    issuer: Box<str>,
    audience: Box<str>,
    token_type: Box<str>,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

/// A stolen token remains valid for this long unless it is revoked.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

impl TokenIssuer {
    /// Creates an issuer with this key, `iss` and `aud`.
    pub fn new(
        key: SigningKey,
        issuer: impl Into<Box<str>>,
        audience: impl Into<Box<str>>,
    ) -> Self {
        Self {
            key,
            issuer: issuer.into(),
            audience: audience.into(),
            token_type: "at+jwt".into(),
            lifetime: LIFETIME,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets the lifetime of tokens, in whole seconds; 15 minutes by default.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the `typ` of tokens; `at+jwt` by default.
    pub fn token_type(mut self, token_type: impl Into<Box<str>>) -> Self {
        self.token_type = token_type.into();
        self
    }

    /// Sets the clock for the times in tokens.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Issues a token for a subject.
    ///
    /// # Errors
    /// Returns an error when the operating system provides no randomness or signing fails.
    pub fn issue(&self, subject: &str, scopes: &ScopeSet) -> Result<AccessToken, IssueError> {
        let id = random::text::<16>().map_err(|source| IssueError {
            source: Box::new(source),
        })?;
        let now = Timestamp::from_secs(self.clock.now().as_secs());
        let expires = Timestamp::from_secs((now + self.lifetime).as_secs());
        let header = Header {
            typ: &self.token_type,
            alg: self.key.algorithm().name(),
            kid: self.key.key_id(),
        };
        let claims = Claims {
            iss: &self.issuer,
            aud: &self.audience,
            sub: subject,
            scope: scopes.to_string(),
            jti: &id,
            iat: now.as_secs(),
            nbf: now.as_secs(),
            exp: expires.as_secs(),
        };
        Ok(AccessToken {
            text: self.sign(&header, &claims)?,
            id: id.as_str().into(),
            expires,
        })
    }

    fn sign(
        &self,
        header: &Header<'_>,
        claims: &Claims<'_>,
    ) -> Result<Zeroizing<String>, IssueError> {
        let failed = |source: Box<dyn Error + Send + Sync>| IssueError { source };
        let header = serde_json::to_vec(header).map_err(|error| failed(error.into()))?;
        let claims = serde_json::to_vec(claims).map_err(|error| failed(error.into()))?;
        let mut text = URL_SAFE_NO_PAD.encode(header);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut text);
        let signature = self.key.sign(text.as_bytes());
        let signature = signature.map_err(|error| failed(error.into()))?;
        // Only the signature makes the text a secret.
        let signature = Zeroizing::new(URL_SAFE_NO_PAD.encode(signature));
        let mut token = Zeroizing::new(String::with_capacity(text.len() + 1 + signature.len()));
        token.extend([&text, ".", &*signature]);
        Ok(token)
    }
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'a str,
    alg: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'a str>,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    scope: String,
    jti: &'a str,
    iat: u64,
    nbf: u64,
    exp: u64,
}

impl fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenIssuer")
            .field("key", &self.key)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

/// A newly issued access token. The text is zeroized on drop, and `Debug` does not show it.
pub struct AccessToken {
    text: Zeroizing<String>,
    id: Box<str>,
    expires: Timestamp,
}

impl AccessToken {
    /// Returns the token, for its owner.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Returns the `jti`, which identifies the token for revocation.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the `exp`.
    pub fn expires_at(&self) -> Timestamp {
        self.expires
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessToken")
            .field("id", &self.id)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// The error of issuing a token.
#[derive(Debug)]
pub struct IssueError {
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for IssueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the token was not issued; check the signing key and the system's random source",
        )
    }
}

impl Error for IssueError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}
