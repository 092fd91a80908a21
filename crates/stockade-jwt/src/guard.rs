//! The guard that authenticates requests by access token.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use http::header::AUTHORIZATION;
use stockade_core::{
    clock::Clock,
    context::RequestContext,
    guard::{Check, Guard, Head},
    identity::{self, Authenticator, Principal, is_token_shaped},
    refusal::Refusal,
};

use crate::{
    KeySource, RevocationStore, TokenRules,
    bearer::{Credential, extract},
    cache::Cache,
    refusal::{self, Challenge},
    token_error::TokenError,
    verifier::{TokenCheck, Verifier},
};

/// Authenticates requests by access token, as the [`Principal`] of its subject.
///
/// The [crate documentation](crate) lists the rules. [`JwtLayer`](crate::JwtLayer) is the tower
/// layer of this guard; use the guard itself in chains of guards.
///
/// ```
/// use stockade_core::guard::GuardStack;
/// use stockade_jwt::{Algorithm, JwtAuth, KeySet, LiveKeys, TokenRules, VerifyingKey};
/// # use stockade_core::{guard::guard_fn, refusal::Refusal};
/// # use stockade_jwt::Secret;
/// # let limit = guard_fn("limit", |_| Ok::<(), Refusal>(()));
/// # let secret = Secret::new(b"thirty-two random bytes or more!")?;
///
/// let keys = LiveKeys::new(KeySet::new([VerifyingKey::hmac(Algorithm::Hs256, &secret)?]));
/// let rules = TokenRules::new("https://login.example.com", "https://api.example.com");
/// let layer = limit.then(JwtAuth::new(keys, rules)).into_layer();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct JwtAuth {
    verifier: Arc<Verifier>,
    max_length: usize,
    /// Seeds the fingerprints of bad tokens, which distinguish them without storing any.
    fingerprint: RandomState,
    anonymous: bool,
}

/// Access tokens of common identity providers have one to three KiB.
const MAX_LENGTH: usize = 8 * 1024;

/// Refuses a token that was not read and so cannot be a guess. All of them share a fingerprint
/// and count as one offence, so that a misconfigured client is not banned.
fn unread(refusal: Refusal) -> Check<JwtPass, TokenCheck> {
    Check::Refuse(refusal.with_fingerprint(0))
}

impl JwtAuth {
    /// Accepts tokens that a key of the source has signed and that satisfy the rules.
    pub fn new(source: impl KeySource, rules: TokenRules) -> Self {
        Self {
            verifier: Arc::new(Verifier::new(source, rules)),
            max_length: MAX_LENGTH,
            fingerprint: RandomState::new(),
            anonymous: false,
        }
    }

    /// Rejects revoked tokens, and tokens without a `jti`, which cannot be revoked.
    pub fn revocations(self, store: Arc<dyn RevocationStore>) -> Self {
        self.with(|verifier| {
            verifier.revocations = Some(store);
            verifier.rules.require_id();
        })
    }

    /// Sets the maximum token length in bytes; 8 KiB by default. Longer tokens are rejected unread.
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_length = bytes;
        self
    }

    /// Sets the capacity of the cache of verified tokens; 10,000 by default, zero disables it.
    pub fn cache_capacity(self, tokens: usize) -> Self {
        self.with(|verifier| verifier.cache = Cache::new(tokens))
    }

    /// Sets the realm of the challenge; `api` by default.
    pub fn realm(self, realm: &str) -> Self {
        self.with(|verifier| verifier.challenge = Challenge::new(realm))
    }

    /// Sets the clock for the validity of tokens.
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with(|verifier| verifier.clock = Arc::new(clock))
    }

    /// Lets requests without a token pass as
    /// [anonymous](stockade_core::identity::Identity::Anonymous). Invalid tokens are still refused.
    ///
    /// Add a scope guard behind it, which decides which routes are public; otherwise all are.
    pub fn dangerous_allow_anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    fn with(mut self, change: impl FnOnce(&mut Verifier)) -> Self {
        change(Arc::make_mut(&mut self.verifier));
        self
    }
}

impl Guard for JwtAuth {
    const NAME: &'static str = "jwt";
    type Pass = JwtPass;
    type Hook = ();
    type Wait = TokenCheck;

    fn check(&self, head: &Head) -> Check<JwtPass, TokenCheck> {
        let challenge = &self.verifier.challenge;
        match extract(&head.headers) {
            Credential::Token(text) if text.len() > self.max_length => {
                unread(challenge.invalid(TokenError::TooLong))
            }
            Credential::Token(text) => {
                let fingerprint = || self.fingerprint.hash_one(text);
                self.verifier
                    .authenticate(text)
                    .with_fingerprint(fingerprint)
            }
            Credential::Missing if self.anonymous => Check::Pass(JwtPass(None)),
            Credential::Missing => Check::Refuse(challenge.missing()),
            Credential::Malformed => unread(challenge.invalid(TokenError::Malformed)),
            Credential::Conflict => unread(refusal::conflict()),
        }
    }

    fn admit(&self, JwtPass(accepted): JwtPass, head: &mut Head) {
        head.headers.remove(AUTHORIZATION);
        let context = head.context();
        let Some((principal, credential)) = accepted else {
            context.set_anonymous();
            return;
        };
        if context.authenticate(principal) {
            context.set_credential(credential);
        }
    }
}

impl Authenticator for JwtAuth {
    /// Returns whether the request carries a value shaped like a token, of any length, which this
    /// guard must check instead of one for API keys. Verifies nothing; see [`is_token_shaped`].
    fn presents(&self, head: &Head) -> bool {
        match extract(&head.headers) {
            Credential::Token(text) => is_token_shaped(text),
            Credential::Missing | Credential::Malformed | Credential::Conflict => false,
        }
    }

    /// Checks the expiry and the revocation of the token. A store that responds later is not asked,
    /// and a signing key that was removed since does not matter.
    fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        self.verifier.recheck(context)
    }
}

impl fmt::Debug for JwtAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth")
            .field("keys", &self.verifier.keys)
            .field("rules", &self.verifier.rules)
            .finish_non_exhaustive()
    }
}

/// The result of a successful check: the principal of the request and its token.
#[derive(Debug)]
pub struct JwtPass(pub(crate) Option<(Principal, identity::Credential)>);
