//! Guards of a program's own, as an author who knows only the documentation writes them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade::core::{
    guard::{Guard, Head, async_guard_fn, guard_fn},
    refusal::{Refusal, RefusalKind},
};
use tokio::{sync::Semaphore, time::timeout};
use tonic::Code;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::grpc_server::{GrpcServer, SERVING, question};

/// Requires a header.
fn tenant(head: &Head) -> Result<(), Refusal> {
    match head.headers.contains_key("x-tenant") {
        true => Ok(()),
        false => Err(Refusal::new(
            RefusalKind::Invalid,
            "the header x-tenant is missing",
        )),
    }
}

fn request(tenant: Option<&str>) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::default());
    if let Some(tenant) = tenant {
        let value = tenant.parse().unwrap();
        request.headers_mut().insert("x-tenant", value);
    }
    request
}

#[tokio::test]
async fn a_guard_of_a_few_lines_goes_around_a_tower_service_and_an_axum_router() {
    let layer = guard_fn("tenant", tenant).into_layer();
    // The inner service is not `Clone`, and need not be: the guard never waits.
    let mut count = 0;
    let mut service = layer.layer(service_fn(move |_: Request<Full<Bytes>>| {
        count += 1;
        async move { Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(count.to_string())))) }
    }));
    let mut status = async |request| {
        let response = service.ready().await.unwrap().call(request).await.unwrap();
        response.status()
    };
    assert_eq!(status(request(Some("a"))).await, StatusCode::OK);
    assert_eq!(status(request(None)).await, StatusCode::BAD_REQUEST);

    let app: Router = Router::new().route("/", get(async || "hello")).layer(layer);
    for (tenant, status) in [(Some("a"), 200), (None, 400)] {
        let request = request(tenant).map(axum::body::Body::new);
        let response = app.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{tenant:?}");
    }
}

#[tokio::test]
async fn the_same_guard_goes_around_a_grpc_service() {
    let layer = guard_fn("tenant", tenant).into_layer();
    let mut server = GrpcServer::behind(layer).await;
    let refused = server.client.check(question(None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    let with = question(Some(("x-tenant", "a")));
    let passed = server.client.check(with).await.unwrap().into_inner();
    assert_eq!(passed.status, SERVING);
}

/// Waits for a place, and holds it until the response has ended.
#[tokio::test]
async fn a_guard_that_waits_and_holds_takes_less_than_thirty_lines() {
    let places = Arc::new(Semaphore::new(1));
    let own = Arc::clone(&places);
    let place = async_guard_fn("place", move |_: &Head| {
        let places = Arc::clone(&own);
        async move {
            let place = timeout(Duration::from_millis(10), places.acquire_owned()).await;
            match place {
                Ok(Ok(place)) => Ok(place),
                _ => Err(Refusal::new(
                    RefusalKind::Unavailable,
                    "all places are taken",
                )),
            }
        }
    });
    let service = ServiceBuilder::new().layer(place.into_layer()).service_fn(
        |_: Request<Full<Bytes>>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("done"))))
        },
    );

    let first = service.clone().oneshot(request(None)).await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    let second = service.clone().oneshot(request(None)).await.unwrap();
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(first);
    let third = service.oneshot(request(None)).await.unwrap();
    assert_eq!(third.status(), StatusCode::OK);
    assert_eq!(places.available_permits(), 0, "its body has not ended");
}
