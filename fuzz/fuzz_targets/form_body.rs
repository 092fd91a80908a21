//! Arbitrary bytes as a multipart form: a form that passes is forwarded unchanged, and its
//! images are slices of it.

#![no_main]

use std::{
    convert::Infallible,
    pin::pin,
    sync::{LazyLock, Mutex},
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use libfuzzer_sys::fuzz_target;
use stockade_body::{BodyLayer, BodyRules, CheckedBody, Profile, ValidatedImages};
use tower::{Layer, ServiceExt};

static LAYER: LazyLock<BodyLayer> =
    LazyLock::new(|| BodyLayer::new(BodyRules::new().fallback(Profile::multipart())));

fuzz_target!(|bytes: &[u8]| {
    let forwarded = Mutex::new(None);
    let service = LAYER.layer(tower::service_fn(
        |request: Request<CheckedBody<Full<Bytes>>>| async {
            let (head, body) = request.into_parts();
            let images = head.extensions.get::<ValidatedImages>().cloned();
            let body = body.collect().await.expect("checked").to_bytes();
            *forwarded.lock().expect("one thread") = Some((body, images));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        },
    ));
    let request = Request::post("/")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(Full::new(Bytes::copy_from_slice(bytes)))
        .expect("a request");
    let response = pin!(service.oneshot(request));
    let Poll::Ready(Ok(response)) = response.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("waits for a complete body");
    };
    match forwarded.lock().expect("one thread").take() {
        Some((body, images)) => {
            assert_eq!(body, bytes, "not the bytes that were checked");
            for image in images.iter().flat_map(ValidatedImages::as_slice) {
                let image = image.bytes();
                // A slice of the forwarded body, not a copy.
                assert_eq!(body.slice_ref(&image), image);
            }
        }
        None => assert!(!response.status().is_server_error() && response.status() != 200),
    }
});
