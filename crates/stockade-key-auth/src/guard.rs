//! The guard that authenticates requests by API key or client certificate.

mod certificate;

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Once},
};

use http::HeaderName;
use stockade_core::{
    clock::{Clock, SystemClock},
    context::RequestContext,
    guard::{BoxWait, Check, Guard, Head},
    identity::{self, Authenticator, AuthenticatorId, Principal},
    refusal::Refusal,
};
use zeroize::Zeroizing;

use crate::{
    CredentialSource, KeyDigest, KeySet, KeyStore, LiveKeys, Pepper, SlowHashLimits,
    credential::{Credential, SourceMask, extract, is_text, strip},
    key::KeyFormat,
    recheck::rejection_reason,
    refusal::{self, Challenge},
    set::{Entry, Lookup},
    slow::{SlowVerification, SlowVerifier},
};

/// IPv6 clients are distinguished by /64, the smallest network that providers assign.
const V6_LENGTH: u8 = 64;

/// Authenticates requests by API key, as the [`Principal`] of the key.
///
/// A request without a key is authenticated by its
/// [`ClientCertificate`](crate::ClientCertificate), if there is one.
///
/// The [crate documentation](crate) lists the rules. [`KeyAuthLayer`](crate::KeyAuthLayer) is the
/// tower layer of this guard; use the guard itself in chains of guards.
///
/// ```
/// use stockade_core::guard::GuardStack;
/// use stockade_key_auth::{KeyAuth, MemoryKeyStore};
/// # use stockade_core::{guard::guard_fn, refusal::Refusal};
/// # let limit = guard_fn("limit", |_| Ok::<(), Refusal>(()));
///
/// let store = MemoryKeyStore::new();
/// let layer = limit.then(KeyAuth::new(&store).realm("models")).into_layer();
/// ```
#[derive(Clone)]
pub struct KeyAuth {
    pub(crate) id: AuthenticatorId,
    /// Identifies certificates in credentials, so that a digest of one kind is not looked up among
    /// those of the other.
    pub(crate) certificates: AuthenticatorId,
    pub(crate) keys: LiveKeys,
    sources: Vec<CredentialSource>,
    pub(crate) challenge: Challenge,
    pub(crate) clock: Arc<dyn Clock>,
    slow: SlowVerifier,
    pepper: Option<Pepper>,
    /// Seeds the fingerprints of bad keys, which distinguish them without storing any.
    fingerprint: RandomState,
    anonymous: bool,
}

impl KeyAuth {
    /// Accepts the keys of a store, sent in `Authorization: Bearer` or `X-API-Key`.
    pub fn new<K>(store: &K) -> Self
    where
        K: KeyStore + ?Sized,
    {
        Self::with_keys(store.keys())
    }

    /// Accepts the keys behind a handle.
    pub fn with_keys(keys: LiveKeys) -> Self {
        Self {
            id: AuthenticatorId::unique(),
            certificates: AuthenticatorId::unique(),
            keys,
            sources: vec![
                CredentialSource::Bearer,
                CredentialSource::Header(HeaderName::from_static("x-api-key")),
            ],
            challenge: Challenge::default(),
            clock: Arc::new(SystemClock::new()),
            slow: SlowVerifier::new(SlowHashLimits::default()),
            pepper: None,
            fingerprint: RandomState::new(),
            anonymous: false,
        }
    }

    /// Sets the headers that carry keys.
    pub fn sources(mut self, sources: impl IntoIterator<Item = CredentialSource>) -> Self {
        self.sources = sources.into_iter().collect();
        self
    }

    /// Sets the realm of the challenge; `api` by default.
    pub fn realm(mut self, realm: &str) -> Self {
        self.challenge = Challenge::new(realm);
        self
    }

    /// Sets the clock for the expiry of keys; the system clock by default, read once a request.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Sets the pepper of keys with `hmac-sha256:` hashes, which are refused without it.
    pub fn pepper(mut self, pepper: Pepper) -> Self {
        self.pepper = Some(pepper);
        self
    }

    /// Limits the verification of bcrypt and argon2id hashes.
    pub fn slow_hashes(mut self, limits: SlowHashLimits) -> Self {
        self.slow = SlowVerifier::new(limits);
        self
    }

    /// Lets requests without a key or known certificate pass as
    /// [anonymous](stockade_core::identity::Identity::Anonymous). Invalid keys are still refused.
    ///
    /// Add a scope guard behind it, which decides which routes are public; otherwise all are.
    pub fn dangerous_allow_anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Looks up the key before checking its format: most keys are known.
    fn authenticate(
        &self,
        key: &[u8],
        head: &Head,
        seen: SourceMask,
    ) -> Check<KeyAuthPass, SlowCheck> {
        let digest = KeyDigest::of(key);
        let keys = self.keys.load();
        match keys.find(&digest) {
            Some(entry) => self.check_status(entry, key, (self.id, digest), head, seen),
            None => self
                .authenticate_unknown(key, digest, &keys, head, seen)
                .with_fingerprint(|| self.fingerprint.hash_one(key)),
        }
    }

    /// Authenticates a key whose digest is not that of a fast hash.
    #[cold]
    fn authenticate_unknown(
        &self,
        key: &[u8],
        digest: KeyDigest,
        keys: &KeySet,
        head: &Head,
        seen: SourceMask,
    ) -> Check<KeyAuthPass, SlowCheck> {
        if let (true, Some(pepper)) = (keys.is_peppered(), &self.pepper) {
            let digest = pepper.digest(key);
            if let Some(entry) = keys.find(&digest) {
                return self.check_status(entry, key, (self.id, digest), head, seen);
            }
        }
        if !is_text(key) {
            return Check::Refuse(self.challenge.malformed("malformed"));
        }
        let shape = KeyFormat::of(key);
        if shape == KeyFormat::BadChecksum {
            return Check::Refuse(self.challenge.malformed("checksum"));
        }
        match keys.find_verified(&digest) {
            Lookup::Found(entry) => self.check_status(&entry, key, (self.id, digest), head, seen),
            Lookup::NotFound => Check::Refuse(self.unknown(keys)),
            Lookup::NeedsVerification => self.verify(key, digest, shape, head, seen),
        }
    }

    /// Refuses a credential that was not looked up. The fingerprint covers the headers, so that
    /// repeated requests count as one offence.
    fn refuse(&self, refusal: Refusal, head: &Head) -> Check<KeyAuthPass, SlowCheck> {
        let values = self.sources.iter().map(CredentialSource::name);
        let values = values.map(|name| head.headers.get_all(name).iter().collect::<Vec<_>>());
        let fingerprint = self.fingerprint.hash_one(values.collect::<Vec<_>>());
        Check::Refuse(refusal.with_fingerprint(fingerprint))
    }

    fn unknown(&self, keys: &KeySet) -> Refusal {
        if keys.is_peppered() && self.pepper.is_none() {
            static ONCE: Once = Once::new();
            ONCE.call_once(|| {
                tracing::error!(
                    "keys with `hmac-sha256:` hashes are refused because no pepper is set; set the \
                     pepper that they were created with"
                );
            });
        }
        self.challenge.invalid("unknown")
    }

    fn check_status(
        &self,
        entry: &Entry,
        key: &[u8],
        (kind, digest): (AuthenticatorId, KeyDigest),
        head: &Head,
        seen: SourceMask,
    ) -> Check<KeyAuthPass, SlowCheck> {
        let now = || self.clock.now_in(head.context());
        match rejection_reason(entry, now, || head.context().client()) {
            None => Check::Pass(KeyAuthPass {
                accepted: Some((entry.accept(), kind, digest)),
                seen,
            }),
            Some(reason) => {
                let fingerprint = self.fingerprint.hash_one(key);
                let refusal = self.invalid(kind, reason);
                Check::Refuse(refusal.with_fingerprint(fingerprint))
            }
        }
    }

    fn verify(
        &self,
        key: &[u8],
        digest: KeyDigest,
        shape: KeyFormat<'_>,
        head: &Head,
        seen: SourceMask,
    ) -> Check<KeyAuthPass, SlowCheck> {
        let verification = SlowVerification {
            key: Zeroizing::new(key.to_vec()),
            digest,
            id: match shape {
                KeyFormat::Native { id } => id.parse().ok(),
                KeyFormat::Foreign | KeyFormat::BadChecksum => None,
            },
        };
        let client = head.context().client();
        let bucket = client.map(|client| client.bucket(V6_LENGTH));
        let Ok(work) = self.slow.verify(self.keys.clone(), verification, bucket) else {
            return Check::Refuse(refusal::busy());
        };
        let (kind, challenge, clock) = (self.id, self.challenge.clone(), Arc::clone(&self.clock));
        Check::Wait(Box::pin(async move {
            let Ok(entry) = work.await else {
                return Err(refusal::busy());
            };
            let Some(entry) = entry else {
                return Err(challenge.invalid("unknown"));
            };
            // The verification may have taken long since the request arrived.
            match rejection_reason(&entry, || clock.now(), || client) {
                None => Ok(KeyAuthPass {
                    accepted: Some((entry.accept(), kind, digest)),
                    seen,
                }),
                Some(reason) => Err(challenge.invalid(reason)),
            }
        }))
    }
}

impl Guard for KeyAuth {
    const NAME: &'static str = "key_auth";
    type Pass = KeyAuthPass;
    type Hook = ();
    type Wait = SlowCheck;

    fn check(&self, head: &Head) -> Check<KeyAuthPass, SlowCheck> {
        let (found, seen) = extract(&head.headers, &self.sources);
        match found {
            Credential::Key(key) => self.authenticate(key, head, seen),
            Credential::Missing => self.authenticate_certificate(head, seen),
            Credential::Token(_) => self.refuse(self.challenge.invalid("token"), head),
            Credential::Malformed => self.refuse(self.challenge.malformed("malformed"), head),
            Credential::Conflict => self.refuse(refusal::conflict(), head),
        }
    }

    fn admit(&self, KeyAuthPass { accepted, seen }: KeyAuthPass, head: &mut Head) {
        strip(&mut head.headers, &self.sources, seen);
        let context = head.context();
        let Some((principal, kind, digest)) = accepted else {
            context.set_anonymous();
            return;
        };
        if context.authenticate(principal) {
            context.set_credential(identity::Credential::key(kind, *digest.as_bytes()));
        }
    }
}

impl Authenticator for KeyAuth {
    /// Whether there is a credential other than a token; see
    /// [`is_token_shaped`](stockade_core::identity::is_token_shaped).
    fn presents(&self, head: &Head) -> bool {
        let (found, _) = extract(&head.headers, &self.sources);
        !matches!(found, Credential::Missing | Credential::Token(_))
    }

    fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        self.recheck_key(context)
    }
}

impl fmt::Debug for KeyAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyAuth")
            .field("keys", &self.keys)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

/// The result of a successful check: the principal of the request.
#[derive(Debug)]
pub struct KeyAuthPass {
    /// The principal, and the kind and digest that found the key or certificate; `None` for an
    /// anonymous request.
    accepted: Option<(Principal, AuthenticatorId, KeyDigest)>,
    seen: SourceMask,
}

/// A check that waits for slow hashes, which take milliseconds, so it is boxed.
type SlowCheck = BoxWait<KeyAuthPass>;
