//! Arbitrary bytes as a chat request: no panic, and a body that passes is JSON and is
//! forwarded unchanged.

#![no_main]

use std::{
    convert::Infallible,
    pin::pin,
    sync::{LazyLock, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use stockade_body::{BodyLayer, BodyRules, CheckedBody, Profile};
use tower::{Layer, ServiceExt};

static LAYER: LazyLock<BodyLayer> = LazyLock::new(|| {
    BodyLayer::new(
        BodyRules::new()
            .route(Method::POST, "/openai", Profile::openai_chat())
            .route(Method::POST, "/responses", Profile::openai_responses())
            .route(Method::POST, "/anthropic", Profile::anthropic_messages())
            .route(Method::POST, "/ollama", Profile::ollama_chat()),
    )
});

fuzz_target!(|bytes: &[u8]| {
    for path in ["/openai", "/responses", "/anthropic", "/ollama"] {
        let body = Bytes::copy_from_slice(bytes);
        let forwarded = Mutex::new(None);
        let service = LAYER.layer(tower::service_fn(
            |request: Request<CheckedBody<Full<Bytes>>>| async {
                let body = request.into_body().collect().await;
                *forwarded.lock().expect("one thread") = Some(body.expect("checked").to_bytes());
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            },
        ));
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(Full::new(body))
            .expect("a request");
        let response = pin!(service.oneshot(request));
        let Poll::Ready(Ok(response)) = response.poll(&mut Context::from_waker(Waker::noop()))
        else {
            panic!("waits for a complete body");
        };
        match forwarded.lock().expect("one thread").take() {
            Some(forwarded) => {
                assert_eq!(forwarded, bytes, "not the bytes that were checked");
                let read = serde_json::from_slice::<serde_json::Value>(bytes);
                assert!(read.is_ok(), "passed, but is not JSON");
            }
            None => assert!(!response.status().is_server_error() && response.status() != 200),
        }
    }
});
