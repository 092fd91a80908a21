//! The stacks by name, from the request alone to the whole fence and its peers.

use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use stockade_core::guard::Guard;
use stockade_key_auth::KeyDigest;
use tower::Layer;

use crate::{
    Keys, Settings, Stack, WholeFence, assembled, governor,
    keys::generated,
    layers,
    request::request,
    routers::{router, typed_router, validated_router},
    stack::exchange,
    whole_fence::enter_runtime,
};

/// Declares the names, and a list of them.
macro_rules! stacks {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*

        /// The names of all stacks.
        pub const STACKS: &[&str] = &[$($name),*];
    };
}

stacks! {
    /// Copying and dropping the request, which is a part of every other stack.
    REQUEST = "request";
    /// SHA-256 of the key, the least that a look-up by digest needs.
    DIGEST = "digest";
    /// axum's router with one route, whose handler ignores the body.
    ROUTER = "router";
    /// The router with a handler that deserializes the body.
    ROUTER_TYPED = "router_typed";
    /// The router with a handler that deserializes and validates the body.
    ROUTER_VALIDATED = "router_validated";

    /// A service that calls the router and does nothing else.
    NO_OP = "no_op";
    /// A guard that passes every request at once and holds nothing.
    READY_GUARD = "ready_guard";
    /// The request context alone.
    CONTEXT = "context";
    /// Key auth behind a context: one of a thousand keys with an expiry.
    KEY_AUTH = "key_auth";
    /// Key auth with a well-formed unknown key.
    KEY_AUTH_401 = "key_auth_401";
    /// Token auth behind a context, with an EdDSA token that was verified before.
    TOKEN = "token";
    /// Key auth, then the scope guard with a dozen routes, behind a context.
    SCOPE = "scope";
    /// A rate limit by address with one quota and its headers, behind a context.
    RATE_LIMIT = "rate_limit";
    /// The same limit, reached.
    RATE_LIMIT_429 = "rate_limit_429";
    /// Bans and offences behind a context, for a client without offences.
    ABUSE = "abuse";
    /// Records behind a context.
    AUDIT = "audit";

    /// [`WholeFence`] around the router.
    FENCE = "fence";
    /// The fence with a well-formed unknown key.
    FENCE_401 = "fence_401";
    /// The fence with a limit by address that is reached.
    FENCE_429 = "fence_429";
    /// The fence with chained records.
    FENCE_CHAINED = "fence_chained";
    /// The fence added with `Router::layer`, which boxes, and which gives it the matched route.
    FENCE_BOXED = "fence_boxed";
    /// The fence around the router with the typed handler.
    FENCE_TYPED = "fence_typed";

    /// The assembled peer with `from_fn` and `Router::layer`, and a JSON line a request.
    AS_WRITTEN = "as_written";
    /// The same with its subscriber switched off.
    AS_WRITTEN_UNRECORDED = "as_written_unrecorded";
    /// The assembled peer as unboxed tower services, and a JSON line a request.
    BY_HAND = "by_hand";
    /// The same with its subscriber switched off.
    BY_HAND_UNRECORDED = "by_hand_unrecorded";
    /// tower_governor by address with headers.
    GOVERNOR = "governor";
    /// The same limit, reached.
    GOVERNOR_429 = "governor_429";
}

const KEYS: usize = 1_000;

/// Builds the stack of this name.
///
/// # Panics
///
/// If there is none.
pub fn stack(name: &'static str) -> Stack {
    enter_runtime();
    let keys = Keys::new(KEYS);
    let good = request(keys.known());
    let plain = Settings::default();
    match name {
        REQUEST => Stack::of(name, move || good.clone()),
        DIGEST => {
            let key = keys.known().to_owned();
            Stack::of(name, move || KeyDigest::of(key.as_bytes()))
        }
        FENCE => fence(name, &keys, plain, router()),
        FENCE_TYPED => fence(name, &keys, plain, typed_router()),
        FENCE_CHAINED => fence(name, &keys, plain.chained(), router()),
        FENCE_401 | FENCE_429 => refusing_fence(name, &keys),
        FENCE_BOXED => {
            let fence = Arc::new(WholeFence::new(&keys, plain));
            let service = router().layer(fence.layer());
            Stack::service(name, service, good, StatusCode::OK).behind(fence)
        }
        AS_WRITTEN | AS_WRITTEN_UNRECORDED | BY_HAND | BY_HAND_UNRECORDED => peer(name, &keys),
        KEY_AUTH_401 | RATE_LIMIT_429 | GOVERNOR_429 => refusing_layer(name, &keys),
        _ => layer(name, &keys, good),
    }
}

/// The stacks of the routers and of single layers.
fn layer(name: &'static str, keys: &Keys, good: Request<Full<Bytes>>) -> Stack {
    let ok = StatusCode::OK;
    let context = layers::context();
    let key_auth = || keys.guard().into_layer();
    match name {
        ROUTER => Stack::service(name, router(), good, ok),
        ROUTER_TYPED => Stack::service(name, typed_router(), good, ok),
        ROUTER_VALIDATED => Stack::service(name, validated_router(), good, ok),
        NO_OP => Stack::service(name, layers::NoOp(router()), good, ok),
        READY_GUARD => Stack::service(name, layers::ready_guard().layer(router()), good, ok),
        CONTEXT => Stack::service(name, context.layer(router()), good, ok),
        KEY_AUTH => Stack::service(name, context.layer(key_auth().layer(router())), good, ok),
        TOKEN => {
            let (guard, token) = layers::token();
            let service = context.layer(guard.into_layer().layer(router()));
            Stack::service(name, service, request(&token), ok)
        }
        SCOPE => {
            let scope = layers::scope().into_layer().layer(router());
            Stack::service(name, context.layer(key_auth().layer(scope)), good, ok)
        }
        RATE_LIMIT => {
            let limit = layers::rate_limit(100_000_000).layer(router());
            Stack::service(name, context.layer(limit), good, ok)
        }
        ABUSE => Stack::service(
            name,
            context.layer(layers::abuse().layer(router())),
            good,
            ok,
        ),
        AUDIT => Stack::service(
            name,
            context.layer(layers::audit().layer(router())),
            good,
            ok,
        ),
        GOVERNOR => Stack::service(name, governor::unlimited().layer(router()), good, ok),
        _ => panic!("there is no stack {name:?}"),
    }
}

/// The stacks of single layers that refuse.
fn refusing_layer(name: &'static str, keys: &Keys) -> Stack {
    let good = request(keys.known());
    match name {
        KEY_AUTH_401 => {
            let service = keys.guard().into_layer().layer(router());
            Stack::service(name, service, unknown(), StatusCode::UNAUTHORIZED)
        }
        RATE_LIMIT_429 => {
            let limit = layers::rate_limit(1).layer(router());
            reached(name, layers::context().layer(limit), good)
        }
        _ => reached(name, governor::limit_of_one().layer(router()), good),
    }
}

/// The whole fence around a router, with a request that it admits.
fn fence(name: &'static str, keys: &Keys, settings: Settings, router: Router) -> Stack {
    let fence = Arc::new(WholeFence::new(keys, settings));
    let service = fence.layer().layer(router);
    Stack::service(name, service, request(keys.known()), StatusCode::OK).behind(fence)
}

/// The whole fence with a request that it refuses.
fn refusing_fence(name: &'static str, keys: &Keys) -> Stack {
    let limited = name == FENCE_429;
    let by_ip = if limited {
        "1/day"
    } else {
        Settings::UNLIMITED
    };
    let settings = Settings {
        by_ip,
        ..Settings::default()
    };
    let fence = Arc::new(WholeFence::new(keys, settings));
    let service = fence.layer().layer(router());
    let stack = if limited {
        reached(name, service, request(keys.known()))
    } else {
        Stack::service(name, service, unknown(), StatusCode::UNAUTHORIZED)
    };
    stack.behind(fence)
}

/// An assembled peer around the handler that validates.
fn peer(name: &'static str, keys: &Keys) -> Stack {
    let app = assembled::App::new(keys.known(), KEYS);
    let (good, ok) = (request(keys.known()), StatusCode::OK);
    let stack = match name {
        AS_WRITTEN | AS_WRITTEN_UNRECORDED => {
            let service = assembled::as_written(app, validated_router());
            Stack::service(name, service, good, ok)
        }
        _ => {
            let service = assembled::by_hand(app, validated_router());
            Stack::service(name, service, good, ok)
        }
    };
    match name {
        AS_WRITTEN | BY_HAND => stack.logged(),
        _ => stack,
    }
}

/// A request with a well-formed unknown key.
fn unknown() -> Request<Full<Bytes>> {
    request(generated("unknown").expose())
}

/// A stack whose limit of one request is used up.
fn reached<S, B>(name: &'static str, service: S, request: Request<Full<Bytes>>) -> Stack
where
    S: tower::Service<
            Request<Full<Bytes>>,
            Response = http::Response<B>,
            Error = std::convert::Infallible,
        > + Clone
        + Send
        + 'static,
    B: http_body::Body,
{
    exchange(service.clone(), request.clone());
    Stack::service(name, service, request, StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::two_clients;

    /// Each stack checks its response, repeatedly: a client that was banned for the refusals
    /// that are measured would receive another status.
    #[test]
    fn every_stack_sends_the_expected_status() {
        let pairs = two_clients();
        let stacks: Vec<_> = STACKS.iter().copied().map(stack).collect();
        for stack in stacks.iter().chain(pairs.iter().flatten()) {
            stack.repeat(20);
            assert_eq!(stack.lost(), 0, "{}", stack.name());
        }
    }
}
