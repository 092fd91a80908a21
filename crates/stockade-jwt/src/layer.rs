//! The tower layer.

use std::sync::Arc;

use stockade_core::{
    clock::Clock,
    guard::{GuardLayer, Guarded},
    identity::{Authenticator, EitherAuth},
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{JwtAuth, KeySource, RevocationStore, TokenRules};

/// Authenticates requests by access token. Cheap to clone.
///
/// The [crate documentation](crate) lists the rules. [`JwtAuth`] is the guard behind it, for
/// chains of guards.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_jwt::{
///     Algorithm, JwtLayer, KeySet, LiveKeys, RevocationList, Secret, TokenRules, VerifyingKey,
/// };
///
/// let secret = Secret::new(b"thirty-two random bytes or more!")?;
/// let keys = LiveKeys::new(KeySet::new([VerifyingKey::hmac(Algorithm::Hs256, &secret)?]));
/// let rules = TokenRules::new("https://login.example.com", "https://api.example.com");
/// let layer = JwtLayer::new(keys, rules)
///     .revocations(Arc::new(RevocationList::default()))
///     .realm("models");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct JwtLayer(GuardLayer<JwtAuth>);

impl JwtLayer {
    /// Accepts tokens that a key of the source has signed and that satisfy the rules.
    pub fn new(source: impl KeySource, rules: TokenRules) -> Self {
        JwtAuth::new(source, rules).into()
    }

    /// Rejects revoked tokens; see [`JwtAuth::revocations`].
    pub fn revocations(self, store: Arc<dyn RevocationStore>) -> Self {
        self.map(|guard| guard.revocations(store))
    }

    /// Sets the maximum token length in bytes; see [`JwtAuth::max_token_length`].
    pub fn max_token_length(self, bytes: usize) -> Self {
        self.map(|guard| guard.max_token_length(bytes))
    }

    /// Sets the capacity of the cache of verified tokens; see [`JwtAuth::cache_capacity`].
    pub fn cache_capacity(self, tokens: usize) -> Self {
        self.map(|guard| guard.cache_capacity(tokens))
    }

    /// Sets the realm of the challenge; see [`JwtAuth::realm`].
    pub fn realm(self, realm: &str) -> Self {
        self.map(|guard| guard.realm(realm))
    }

    /// Sets the clock for the validity of tokens; see [`JwtAuth::clock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        self.map(|guard| guard.clock(clock))
    }

    /// Lets requests without a token pass as anonymous; see
    /// [`JwtAuth::dangerous_allow_anonymous`].
    pub fn dangerous_allow_anonymous(self) -> Self {
        self.map(JwtAuth::dangerous_allow_anonymous)
    }

    /// Also accepts the credentials of another layer, such as API keys; see
    /// [`Authenticator::or`]. Keeps the responder of `self`.
    ///
    /// A request without a credential is challenged by `self`, so put the layer for API keys
    /// first where clients usually send keys.
    pub fn or<B>(self, other: impl Into<GuardLayer<B>>) -> GuardLayer<EitherAuth<JwtAuth, B>>
    where
        B: Authenticator + Clone,
    {
        let other = other.into().guard().clone();
        self.0.map(|guard| guard.or(other))
    }

    /// Sets how refusals are written.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }

    fn map(self, change: impl FnOnce(JwtAuth) -> JwtAuth) -> Self {
        Self(self.0.map(change))
    }
}

impl From<JwtAuth> for JwtLayer {
    fn from(guard: JwtAuth) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl From<JwtLayer> for GuardLayer<JwtAuth> {
    fn from(layer: JwtLayer) -> Self {
        layer.0
    }
}

impl<S> Layer<S> for JwtLayer {
    type Service = Guarded<S, JwtAuth>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
