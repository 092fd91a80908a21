//! The fence around the API: which layers a request passes, and in which order.
//!
//! It stands after the router ([`Router::layer`]), so every layer judges the route that
//! will really run. A route that nobody declared in [`rules`] is closed.

use std::time::Duration;

use axum::{Router, middleware};
use stockade_core::{ContextGuard, EitherAuth, Guard, TrustedProxies};
use stockade_jwt::JwtAuth;
use stockade_key_auth::KeyAuth;
use stockade_scope::ScopeGuard;
use tower::ServiceBuilder;

mod body_limit;
mod deadline;
mod request_log;
mod route;
mod rules;

pub(crate) use body_limit::BodyLimit;
pub(crate) use deadline::Deadline;

pub(crate) use rules::scope_guard;

use request_log::RequestLog;

/// What the fence is built from.
pub(crate) struct Fence {
    pub(crate) proxies: TrustedProxies,
    /// Keys or tokens. Lets anonymous requests pass: which routes are open to them is the
    /// scope guard's to say.
    pub(crate) identity: EitherAuth<KeyAuth, JwtAuth>,
    pub(crate) scopes: ScopeGuard,
    pub(crate) request_timeout: Duration,
    pub(crate) body_limit: BodyLimit,
}

impl Fence {
    /// The router behind the fence. Read from the top: that is the way of a request.
    pub(crate) fn around(self, router: Router) -> Router {
        router.layer(
            ServiceBuilder::new()
                // Says which route the router chose, in words that guards understand.
                .map_request(route::tell)
                // Names the request and finds out whose address it comes from.
                .layer(
                    ContextGuard::new()
                        .trusted_proxies(self.proxies)
                        .into_layer(),
                )
                // Writes one line when the answer has ended, however it ended. Outside
                // of all that can refuse, so that no refusal goes unseen.
                .layer(RequestLog.into_layer())
                // Answers for what is inside where it panics or takes too long.
                .layer(middleware::from_fn_with_state(
                    self.request_timeout,
                    deadline::always_answer,
                ))
                // Who is it? A key or a token that is not valid ends here.
                .layer(self.identity.into_layer())
                // May they do this? What no rule names, nobody may.
                .layer(self.scopes.into_layer())
                // Is the body small enough to be read at all?
                .layer(self.body_limit.into_layer()),
        )
    }
}
