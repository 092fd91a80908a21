//! Verification with a cache, key refreshes and revocation.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use stockade_core::{
    clock::{Clock, SystemClock, Timestamp},
    guard::{BoxWait, Check},
    identity::Principal,
    refusal::Refusal,
};

use crate::{
    JwtPass, KeyRefresh, KeySource, LiveKeys, RevocationError, RevocationStatus, RevocationStore,
    TokenDigest, TokenRules,
    cache::{Cache, Entry},
    refusal::{self, Challenge},
    rules::VerifiedToken,
    token_error::TokenError,
    verify,
};

/// A check that waits for the network, which takes milliseconds, so it is boxed.
pub(crate) type TokenCheck = BoxWait<JwtPass>;

/// Verifies tokens with keys, a cache and a revocation store. Shared with checks that wait.
#[derive(Clone)]
pub(crate) struct Verifier {
    pub(crate) source: Arc<dyn KeySource>,
    pub(crate) keys: LiveKeys,
    pub(crate) rules: TokenRules,
    pub(crate) challenge: Challenge,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) revocations: Option<Arc<dyn RevocationStore>>,
    /// Whether the last response of the store was an error.
    revocations_failing: Arc<AtomicBool>,
    pub(crate) cache: Cache,
}

const CACHED: usize = 10_000;

impl Verifier {
    pub(crate) fn new(source: impl KeySource, rules: TokenRules) -> Self {
        Self {
            keys: source.keys(),
            source: Arc::new(source),
            rules,
            challenge: Challenge::default(),
            clock: Arc::new(SystemClock::new()),
            revocations: None,
            revocations_failing: Arc::default(),
            cache: Cache::new(CACHED),
        }
    }

    pub(crate) fn authenticate(self: &Arc<Self>, text: &[u8]) -> Check<JwtPass, TokenCheck> {
        let now = self.clock.now();
        self.source.on_use(now);
        let digest = TokenDigest::of(text);
        match self.look_up(&digest, now) {
            Some(Ok((principal, revocation))) => self.settle(principal, revocation),
            Some(Err(error)) => Check::Refuse(self.challenge.invalid(error)),
            None => match std::str::from_utf8(text) {
                Ok(text) => self.verify_uncached(text, digest, now),
                Err(_) => Check::Refuse(self.challenge.invalid(TokenError::Malformed)),
            },
        }
    }

    fn verify_uncached(
        self: &Arc<Self>,
        text: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Check<JwtPass, TokenCheck> {
        match self.verify(text, digest, now) {
            Ok((principal, revocation)) => self.settle(principal, revocation),
            Err(TokenError::UnknownKey) => self.refresh(text, digest, now),
            Err(error) => Check::Refuse(self.challenge.invalid(error)),
        }
    }

    /// Handles a token with an unknown key id: a newer set may have the key.
    fn refresh(
        self: &Arc<Self>,
        text: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Check<JwtPass, TokenCheck> {
        let refreshing = match self.source.on_unknown_key(now) {
            KeyRefresh::UpToDate => {
                return Check::Refuse(self.challenge.invalid(TokenError::UnknownKey));
            }
            KeyRefresh::Unavailable(retry_after) => {
                return Check::Refuse(refusal::no_keys(retry_after));
            }
            KeyRefresh::Pending(refreshing) => refreshing,
        };
        let (verifier, text) = (Arc::clone(self), Box::<str>::from(text));
        Check::Wait(Box::pin(async move {
            refreshing.await;
            let now = verifier.clock.now();
            match verifier.verify(&text, digest, now) {
                Ok((principal, revocation)) => verifier.finish(principal, revocation).await,
                Err(TokenError::UnknownKey) => Err(match verifier.source.on_unknown_key(now) {
                    KeyRefresh::Unavailable(retry_after) => refusal::no_keys(retry_after),
                    KeyRefresh::UpToDate | KeyRefresh::Pending(_) => {
                        verifier.challenge.invalid(TokenError::UnknownKey)
                    }
                }),
                Err(error) => Err(verifier.challenge.invalid(error)),
            }
        }))
    }

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
            Err(error) => Err(error),
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
                let verifier = Arc::clone(self);
                Check::Wait(Box::pin(async move {
                    verifier.finish(principal, revocation).await
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
