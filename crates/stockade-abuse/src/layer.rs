//! The tower layer.

use std::fmt;

use stockade_core::{
    guard::{GuardLayer, Guarded},
    identity::Authenticator,
    refusal::Responder,
};
use tower_layer::Layer;

use crate::{AbuseGuard, Detector, NoAuthenticator};

/// A tower layer that refuses banned clients and counts the offences of all others: an
/// [`AbuseGuard`] with its options. Put it directly inside of
/// [`ContextLayer`](stockade_core::context::ContextLayer) and outside of all layers that
/// refuse requests.
///
/// ```
/// use stockade_abuse::{AbuseLayer, AbusePolicy, Detector};
///
/// // Keep a clone of the detector, to list and lift bans.
/// let detector = Detector::new(AbusePolicy::new());
/// let layer = AbuseLayer::new(detector.clone());
/// assert!(detector.bans().is_empty());
/// ```
pub struct AbuseLayer<A = NoAuthenticator>(GuardLayer<AbuseGuard<A>>);

impl AbuseLayer {
    /// Creates a layer that uses this detector.
    pub fn new(detector: Detector) -> Self {
        Self::from(AbuseGuard::new(detector))
    }

    /// See [`AbuseGuard::allow_valid_credentials`].
    pub fn allow_valid_credentials<A>(self, authenticator: A) -> AbuseLayer<A>
    where
        A: Authenticator,
    {
        AbuseLayer(
            self.0
                .map(|guard| guard.allow_valid_credentials(authenticator)),
        )
    }
}

impl<A> AbuseLayer<A>
where
    A: Authenticator + Clone,
{
    /// Sets the responder for refusals.
    pub fn responder(self, responder: Responder) -> Self {
        Self(self.0.responder(responder))
    }
}

impl<A> From<AbuseGuard<A>> for AbuseLayer<A>
where
    A: Authenticator,
{
    fn from(guard: AbuseGuard<A>) -> Self {
        Self(GuardLayer::new(guard))
    }
}

impl<A> Clone for AbuseLayer<A> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<A> fmt::Debug for AbuseLayer<A>
where
    A: Authenticator,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AbuseLayer").field(self.0.guard()).finish()
    }
}

impl<S, A> Layer<S> for AbuseLayer<A> {
    type Service = Guarded<S, AbuseGuard<A>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer(inner)
    }
}
