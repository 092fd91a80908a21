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
    context::RequestContext,
    guard::{BoxWait, Check},
    identity::{AuthenticatorId, Credential, Principal},
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
    id: AuthenticatorId,
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

/// The principal of a token, and what checks it again.
type Accepted = (Principal, Credential);

const CACHED: usize = 10_000;

impl Verifier {
    pub(crate) fn new(source: impl KeySource, rules: TokenRules) -> Self {
        Self {
            id: AuthenticatorId::unique(),
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
            Some(Ok((accepted, revocation))) => self.settle(accepted, revocation),
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
            Ok((accepted, revocation)) => self.settle(accepted, revocation),
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
                Ok((accepted, revocation)) => verifier.finish(accepted, revocation).await,
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
    ) -> Option<Result<(Accepted, RevocationStatus), TokenError>> {
        let hit = self.cache.get(digest, self.keys.load().generation())?;
        let verified = hit.verified()?;
        Some(match verified.validity.check(now) {
            Ok(()) => Ok((self.accepted(verified), self.revocation(verified))),
            Err(error) => Err(error),
        })
    }

    fn verify(
        &self,
        text: &str,
        digest: TokenDigest,
        now: Timestamp,
    ) -> Result<(Accepted, RevocationStatus), TokenError> {
        let keys = self.keys.load();
        let verified = verify::verify(text, &keys, &self.rules, now)?;
        let found = (self.accepted(&verified), self.revocation(&verified));
        // If the set was replaced meanwhile, the entry has an old generation and is ignored.
        self.cache.insert(Entry {
            digest,
            generation: keys.generation(),
            verified,
        });
        Ok(found)
    }

    fn accepted(&self, verified: &VerifiedToken) -> Accepted {
        let (until, token_id) = (verified.validity.until, verified.token_id.clone());
        let credential = Credential::token(self.id, until, token_id);
        (verified.principal.clone(), credential)
    }

    /// Returns the refusal that the token of an authenticated request would get now.
    ///
    /// A revocation store that responds later is not asked.
    pub(crate) fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        let credential = context.credential()?;
        if credential.authenticator() != self.id {
            return None;
        }
        let revoked = || {
            let status = self.revocations.as_ref()?.status(credential.id()?);
            matches!(status, RevocationStatus::Revoked).then_some(TokenError::Revoked)
        };
        let error = match self.clock.now() >= credential.expires()? {
            true => TokenError::Expired,
            false => revoked()?,
        };
        // It was valid, so it is no guess.
        Some(self.challenge.invalid(error).without_reason())
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
        accepted: Accepted,
        revocation: RevocationStatus,
    ) -> Check<JwtPass, TokenCheck> {
        match revocation {
            RevocationStatus::NotRevoked => Check::Pass(JwtPass(Some(accepted))),
            RevocationStatus::Revoked => Check::Refuse(self.challenge.invalid(TokenError::Revoked)),
            RevocationStatus::Pending(_) => {
                let verifier = Arc::clone(self);
                Check::Wait(Box::pin(async move {
                    verifier.finish(accepted, revocation).await
                }))
            }
        }
    }

    async fn finish(
        &self,
        accepted: Accepted,
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
        Ok(JwtPass(Some(accepted)))
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
