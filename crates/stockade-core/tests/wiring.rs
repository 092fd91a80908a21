//! FP03: a server that is set up incorrectly logs the remedy for its operator.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use stockade_core::{
    context::ContextGuard,
    guard::{Check, Guard, Head, NoWait},
    refusal::Refusal,
};
use support::Log;
use tower::{Layer, ServiceExt, service_fn};

/// A guard of another crate.
struct Tenant;

impl Guard for Tenant {
    const NAME: &'static str = "tenant";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Refuse(Refusal::not_configured("no tenant: add the tenant layer"))
    }

    fn admit(&self, _pass: (), _head: &mut Head) {}
}

async fn answer(guard: impl Guard<Wait = NoWait>) -> (StatusCode, String) {
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = guard.into_layer().layer(inner);
    let response = service.oneshot(Request::default()).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

// FP03
#[tokio::test]
async fn logs_each_wiring_fault_once_with_its_remedy() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.subscriber());
    for _ in 0..3 {
        let (status, body) = answer(ContextGuard::new()).await;
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains(r#""code":"NOT_CONFIGURED""#), "{body}");
        assert!(
            !body.contains("peer"),
            "the remedy is not the client's: {body}"
        );
        answer(Tenant).await;
    }
    let log = log.text();
    assert_eq!(log.matches("ERROR").count(), 2, "{log}");
    assert_eq!(log.matches("add the tenant layer").count(), 1, "{log}");
    for server in [
        "into_make_service_with_connect_info",
        "TcpConnectInfo",
        "request.extensions_mut()",
    ] {
        assert!(log.contains(server), "{log}");
    }
}
