//! The tower layer.

use stockade_core::{
    clock::Clock,
    guard::{GuardLayer, Guarded},
    identity::{Authenticator, EitherAuth},
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{CredentialSource, KeyAuth, KeyStore, LiveKeys, Pepper, SlowHashLimits};

/// Authenticates requests by API key. Cheap to clone.
///
/// The [crate documentation](crate) lists the rules. [`KeyAuth`] is the guard behind it, for
/// chains of guards.
///
/// ```
/// use stockade_key_auth::{CredentialSource, KeyAuthLayer, MemoryKeyStore};
/// # use std::convert::Infallible;
/// # use http::{Request, Response, StatusCode};
/// # use http_body_util::Full;
/// # use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryKeyStore::new();
/// let service = ServiceBuilder::new()
///     .layer(KeyAuthLayer::new(&store).sources([CredentialSource::Bearer]).realm("models"))
///     .service_fn(|_: Request<Full<bytes::Bytes>>| async {
///         Ok::<_, Infallible>(Response::new(Full::<bytes::Bytes>::default()))
///     });
/// let refused = service.oneshot(Request::new(Full::default())).await?;
/// assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
/// assert_eq!(refused.headers()["www-authenticate"], r#"Bearer realm="models""#);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct KeyAuthLayer(GuardLayer<KeyAuth>);

impl KeyAuthLayer {
    /// Accepts the keys of a store, sent in `Authorization: Bearer` or `X-API-Key`.
    pub fn new<K>(store: &K) -> Self
    where
        K: KeyStore + ?Sized,
    {
        KeyAuth::new(store).into()
    }

    /// Accepts the keys behind a handle.
    pub fn with_keys(keys: LiveKeys) -> Self {
        KeyAuth::with_keys(keys).into()
    }

    /// Sets the headers that carry keys; see [`KeyAuth::sources`].
    pub fn sources(self, sources: impl IntoIterator<Item = CredentialSource>) -> Self {
        self.map(|guard| guard.sources(sources))
    }

    /// Sets the realm of the challenge; see [`KeyAuth::realm`].
    pub fn realm(self, realm: &str) -> Self {
        self.map(|guard| guard.realm(realm))
    }

    /// Sets the clock for the expiry of keys; see [`KeyAuth::clock`].
    pub fn clock(self, clock: impl Clock) -> Self {
        self.map(|guard| guard.clock(clock))
    }

    /// Sets the pepper; see [`KeyAuth::pepper`].
    pub fn pepper(self, pepper: Pepper) -> Self {
        self.map(|guard| guard.pepper(pepper))
    }

    /// Limits the verification of bcrypt and argon2id hashes; see [`KeyAuth::slow_hashes`].
    pub fn slow_hashes(self, limits: SlowHashLimits) -> Self {
        self.map(|guard| guard.slow_hashes(limits))
    }

    /// Lets requests without a key pass as anonymous; see
    /// [`KeyAuth::dangerous_allow_anonymous`].
    pub fn dangerous_allow_anonymous(self) -> Self {
        self.map(KeyAuth::dangerous_allow_anonymous)
    }

    /// Also accepts the credentials of another layer, such as access tokens; see
    /// [`Authenticator::or`]. Keeps the responder of `self`.
    pub fn or<B>(self, other: impl Into<GuardLayer<B>>) -> GuardLayer<EitherAuth<KeyAuth, B>>
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

    fn map(self, change: impl FnOnce(KeyAuth) -> KeyAuth) -> Self {
        Self(self.0.map(change))
    }
}

impl From<KeyAuth> for KeyAuthLayer {
    fn from(guard: KeyAuth) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl From<KeyAuthLayer> for GuardLayer<KeyAuth> {
    fn from(layer: KeyAuthLayer) -> Self {
        layer.0
    }
}

impl<S> Layer<S> for KeyAuthLayer {
    type Service = Guarded<S, KeyAuth>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
