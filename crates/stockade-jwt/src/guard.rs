//! The guard that authenticates requests by access token.

use std::{
    error::Error,
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use http::header::AUTHORIZATION;
use stockade_core::{
    clock::SystemClock,
    clock::{Clock, Timestamp},
    guard::{BoxWait, Head},
    guard::{Check, Guard},
    identity::Principal,
    identity::{Authenticator, is_token_shaped},
    refusal::Refusal,
};

use crate::{
    KeyRefresh, KeySource, LiveKeys, RevocationError, RevocationStatus, RevocationStore,
    TokenDigest, TokenRules,
    bearer::{Credential, extract},
    cache::{Cache, Entry},
    refusal::{self, Challenge},
    rules::VerifiedToken,
    token_error::TokenError,
    verify,
};

/// Authenticates requests by access token, as the [`Principal`] of its subject.
///
/// The [crate documentation](crate) lists the rules.
pub struct JwtAuth {
    shared: Arc<Shared>,
}

/// The state shared with checks that wait.
#[derive(Clone)]
struct Shared {
    source: Arc<dyn KeySource>,
    keys: LiveKeys,
    rules: TokenRules,
    max_length: usize,
    challenge: Challenge,
    clock: Arc<dyn Clock>,
    revocations: Option<Arc<dyn RevocationStore>>,
    /// Whether the last response of the store was an error.
    revocations_failing: Arc<AtomicBool>,
    cache: Cache,
    /// Seeds the fingerprints of bad tokens, which distinguish them without storing any.
    fingerprint: RandomState,
    anonymous: bool,
}

/// Access tokens of common identity providers have one to three KiB.
const MAX_LENGTH: usize = 8 * 1024;
const CACHED: usize = 10_000;

/// Refuses a token that was not read and so cannot be a guess. All of them share a fingerprint
/// and count as one offence, so that a misconfigured client is not banned.
fn unread(refusal: Refusal) -> Check<JwtPass, TokenCheck> {
    Check::Refuse(refusal.with_fingerprint(0))
}

impl JwtAuth {
    /// Accepts tokens that a key of the source has signed and that satisfy the rules.
    pub fn new(source: impl KeySource, rules: TokenRules) -> Self {
        Self {
            shared: Arc::new(Shared {
                keys: source.keys(),
                source: Arc::new(source),
                rules,
                max_length: MAX_LENGTH,
                challenge: Challenge::default(),
                clock: Arc::new(SystemClock::new()),
                revocations: None,
                revocations_failing: Arc::default(),
                cache: Cache::new(CACHED),
                fingerprint: RandomState::new(),
                anonymous: false,
            }),
        }
    }

    /// Rejects revoked tokens, and tokens without a `jti`, which cannot be revoked.
    pub fn revocations(self, store: Arc<dyn RevocationStore>) -> Self {
        self.with(|shared| {
            shared.revocations = Some(store);
            shared.rules.require_id();
        })
    }

    /// Sets the maximum token length in bytes; 8 KiB by default. Longer tokens are rejected unread.
    pub fn max_token_length(self, bytes: usize) -> Self {
        self.with(|shared| shared.max_length = bytes)
    }

    /// Sets the capacity of the cache of verified tokens; 10,000 by default, zero disables it.
    pub fn cache_capacity(self, tokens: usize) -> Self {
        self.with(|shared| shared.cache = Cache::new(tokens))
    }

    /// Sets the realm of the challenge; `api` by default.
    pub fn realm(self, realm: &str) -> Self {
        self.with(|shared| shared.challenge = Challenge::new(realm))
    }

    /// Sets the clock for the validity of tokens.
    pub fn clock(self, clock: impl Clock) -> Self {
        self.with(|shared| shared.clock = Arc::new(clock))
    }

    /// Lets requests without a token pass, as [anonymous](stockade_core::identity::Identity::Anonymous); a token that is not
    /// valid is still refused.
    ///
    /// For a scope guard behind it, which then decides what is open to everybody. Without
    /// one, everything is.
    pub fn dangerous_allow_anonymous(self) -> Self {
        self.with(|shared| shared.anonymous = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Shared)) -> Self {
        change(Arc::make_mut(&mut self.shared));
        self
    }

    fn authenticate(&self, text: &[u8]) -> Check<JwtPass, TokenCheck> {
        let shared = &self.shared;
        let now = shared.clock.now();
        shared.source.on_use(now);
        let digest = TokenDigest::of(text);
        match shared.look_up(&digest, now) {
            Some(Ok((principal, revocation))) => shared.settle(principal, revocation),
            Some(Err(cause)) => Check::Refuse(shared.challenge.invalid(cause)),
            None => match std::str::from_utf8(text) {
                Ok(text) => self.verify_uncached(text, digest, now),
                Err(_) => Check::Refuse(shared.challenge.invalid(TokenError::Malformed)),
            },
        }
    }

    fn verify_uncached(
        &self,
        text: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Check<JwtPass, TokenCheck> {
        match self.shared.verify(text, digest, now) {
            Ok((principal, revocation)) => self.shared.settle(principal, revocation),
            Err(TokenError::UnknownKey) => self.refresh(text, digest, now),
            Err(cause) => Check::Refuse(self.shared.challenge.invalid(cause)),
        }
    }

    /// Handles a token with an unknown key id: a newer set may have the key.
    fn refresh(
        &self,
        text: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Check<JwtPass, TokenCheck> {
        let shared = &self.shared;
        let refreshing = match shared.source.on_unknown_key(now) {
            KeyRefresh::UpToDate => {
                return Check::Refuse(shared.challenge.invalid(TokenError::UnknownKey));
            }
            KeyRefresh::Unavailable(retry_after) => {
                return Check::Refuse(refusal::no_keys(retry_after));
            }
            KeyRefresh::Pending(refreshing) => refreshing,
        };
        let (shared, text) = (Arc::clone(shared), Box::<str>::from(text));
        Check::Wait(Box::pin(async move {
            refreshing.await;
            let now = shared.clock.now();
            match shared.verify(&text, digest, now) {
                Ok((principal, revocation)) => shared.finish(principal, revocation).await,
                Err(TokenError::UnknownKey) => Err(match shared.source.on_unknown_key(now) {
                    KeyRefresh::Unavailable(retry_after) => refusal::no_keys(retry_after),
                    KeyRefresh::UpToDate | KeyRefresh::Pending(_) => {
                        shared.challenge.invalid(TokenError::UnknownKey)
                    }
                }),
                Err(cause) => Err(shared.challenge.invalid(cause)),
            }
        }))
    }
}

impl Shared {
    /// Looks up a verified token; `None` when it must be verified.
    fn look_up(
        &self,
        digest: &TokenDigest,
        now: Timestamp,
    ) -> Option<Result<(Principal, RevocationStatus), TokenError>> {
        let hit = self.cache.get(digest, self.keys.load().generation())?;
        let verified = hit.verified()?;
        Some(match verified.validity.check(now) {
            Ok(()) => Ok((verified.principal.clone(), self.revocation(verified))),
            Err(cause) => Err(cause),
        })
    }

    fn verify(
        &self,
        text: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Result<(Principal, RevocationStatus), TokenError> {
        let keys = self.keys.load();
        let verified = verify::verify(text, &keys, &self.rules, now)?;
        let found = (verified.principal.clone(), self.revocation(&verified));
        // If the set was replaced meanwhile, the entry has an old generation and is ignored.
        self.cache.insert(Entry {
            digest,
            generation: keys.generation(),
            verified,
        });
        Ok(found)
    }

    fn revocation(&self, verified: &VerifiedToken) -> RevocationStatus {
        match (&self.revocations, &verified.token_id) {
            (None, _) => RevocationStatus::NotRevoked,
            (Some(store), Some(id)) => store.status(id),
            // The rules require an id when there is a store.
            (Some(_), None) => RevocationStatus::Revoked,
        }
    }

    fn settle(
        self: &Arc<Self>,
        principal: Principal,
        revocation: RevocationStatus,
    ) -> Check<JwtPass, TokenCheck> {
        match revocation {
            RevocationStatus::NotRevoked => Check::Pass(JwtPass(Some(principal))),
            RevocationStatus::Revoked => Check::Refuse(self.challenge.invalid(TokenError::Revoked)),
            RevocationStatus::Pending(_) => {
                let shared = Arc::clone(self);
                Check::Wait(Box::pin(async move {
                    shared.finish(principal, revocation).await
                }))
            }
        }
    }

    async fn finish(
        &self,
        principal: Principal,
        revocation: RevocationStatus,
    ) -> Result<JwtPass, Refusal> {
        let revoked = match revocation {
            RevocationStatus::NotRevoked => false,
            RevocationStatus::Revoked => true,
            RevocationStatus::Pending(asked) => self.answered(asked.await)?,
        };
        if revoked {
            return Err(self.challenge.invalid(TokenError::Revoked));
        }
        Ok(JwtPass(Some(principal)))
    }

    /// Logs transitions between failing and working, once each.
    fn answered(&self, answer: Result<bool, RevocationError>) -> Result<bool, Refusal> {
        let was_failing = self
            .revocations_failing
            .swap(answer.is_err(), Ordering::Relaxed);
        match answer {
            Ok(is_revoked) => {
                if was_failing {
                    tracing::info!("the revocation store responds again");
                }
                Ok(is_revoked)
            }
            Err(error) => {
                if !was_failing {
                    let cause = error.source().map(ToString::to_string);
                    tracing::error!(
                        %error,
                        cause,
                        "revocation store failed: tokens are rejected with 503 until it responds"
                    );
                }
                Err(refusal::no_revocations())
            }
        }
    }
}

impl Guard for JwtAuth {
    const NAME: &'static str = "jwt";
    type Pass = JwtPass;
    type Hook = ();
    type Wait = TokenCheck;

    fn check(&self, head: &Head) -> Check<JwtPass, TokenCheck> {
        let challenge = &self.shared.challenge;
        match extract(&head.headers) {
            Credential::Token(text) if text.len() > self.shared.max_length => {
                unread(challenge.invalid(TokenError::TooLong))
            }
            Credential::Token(text) => {
                let fingerprint = || self.shared.fingerprint.hash_one(text);
                self.authenticate(text).with_fingerprint(fingerprint)
            }
            Credential::Missing if self.shared.anonymous => Check::Pass(JwtPass(None)),
            Credential::Missing => Check::Refuse(challenge.missing()),
            Credential::Malformed => unread(challenge.invalid(TokenError::Malformed)),
            Credential::Conflict => unread(refusal::conflict()),
        }
    }

    fn admit(&self, JwtPass(principal): JwtPass, head: &mut Head) {
        head.headers.remove(AUTHORIZATION);
        match principal {
            Some(principal) => head.context().authenticate(principal),
            None => head.context().set_anonymous(),
        };
    }
}

impl Authenticator for JwtAuth {
    /// Returns whether the request carries a value shaped like a token, of any length, which this
    /// guard must judge instead of one for API keys. Verifies nothing; see [`is_token_shaped`].
    fn presents(&self, head: &Head) -> bool {
        match extract(&head.headers) {
            Credential::Token(text) => is_token_shaped(text),
            Credential::Missing | Credential::Malformed | Credential::Conflict => false,
        }
    }
}

impl fmt::Debug for JwtAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtAuth")
            .field("keys", &self.shared.keys)
            .field("rules", &self.shared.rules)
            .finish_non_exhaustive()
    }
}

/// The result of a successful check: the principal of the request.
#[derive(Debug)]
pub struct JwtPass(Option<Principal>);

/// A check that waits for the network, which takes milliseconds, so it is boxed.
type TokenCheck = BoxWait<JwtPass>;
