//! Two authenticators in one layer.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
};

use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use stockade_core::{
    context::RequestContext,
    guard::{Check, Guard, Head},
    identity::{Authenticator, AuthenticatorId, Credential, EitherAuth, Principal},
    refusal::{Refusal, RefusalKind},
};
use stockade_testkit::contract;
use tower::{Layer, ServiceExt, service_fn};

/// Takes the value `good` of one header; waits first if `waits` is set.
struct Header {
    id: AuthenticatorId,
    name: &'static str,
    waits: bool,
}

impl Guard for Header {
    const NAME: &'static str = "header";
    type Pass = Principal;
    type Hook = ();
    type Wait = Ready<Result<Principal, Refusal>>;

    fn check(&self, head: &Head) -> Check<Principal, Self::Wait> {
        let good = head
            .headers
            .get(self.name)
            .is_some_and(|value| value == "good");
        let result = match good {
            true => Ok(Principal::builder(self.name).build()),
            false => Err(Refusal::new(RefusalKind::Unauthenticated, self.name)),
        };
        match (self.waits, result) {
            (true, result) => Check::Wait(ready(result)),
            (false, Ok(principal)) => Check::Pass(principal),
            (false, Err(refusal)) => Check::Refuse(refusal),
        }
    }

    fn admit(&self, principal: Principal, head: &mut Head) {
        head.context().authenticate(principal);
        let credential = Credential::key(self.id, [0; 32]);
        head.context().set_credential(credential);
    }
}

impl Authenticator for Header {
    fn presents(&self, head: &Head) -> bool {
        head.headers.contains_key(self.name)
    }

    /// Refuses all of its credentials.
    fn recheck(&self, context: &RequestContext) -> Option<Refusal> {
        let credential = context.credential()?;
        let is_own = credential.authenticator() == self.id;
        is_own.then(|| Refusal::new(RefusalKind::Unauthenticated, self.name))
    }
}

fn either() -> EitherAuth<Header, Header> {
    let key = Header {
        id: AuthenticatorId::unique(),
        name: "x-key",
        waits: false,
    };
    let token = Header {
        id: AuthenticatorId::unique(),
        name: "x-token",
        waits: true,
    };
    key.or(token)
}

#[tokio::test]
async fn both_kinds_uphold_the_contract() {
    for name in ["x-key", "x-token"] {
        contract::uphold(&either().into_layer(), || {
            Request::builder().header(name, "good").body(()).unwrap()
        })
        .await;
    }
}

// A13
#[tokio::test]
async fn checks_each_kind_alone_and_refuses_both() {
    for (headers, status) in [
        (&[("x-key", "good")][..], 200),
        (&[("x-token", "good")], 200),
        (&[("x-key", "bad")], 401),
        (&[("x-token", "bad")], 401),
        (&[], 401),
        (&[("x-key", "good"), ("x-token", "good")], 400),
        (&[("x-key", "bad"), ("x-token", "good")], 400),
    ] {
        let service = either()
            .into_layer()
            .layer(service_fn(|request: Request<()>| async move {
                assert!(
                    RequestContext::of(request.extensions())
                        .and_then(RequestContext::principal)
                        .is_some()
                );
                Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
            }));
        let mut request = Request::new(());
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(
            response.status(),
            StatusCode::from_u16(status).unwrap(),
            "{headers:?}"
        );
    }
}
