//! Any bytes as a form: what passes goes on as it came, and its images are parts of it.

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
use stockade_body::{BodyCheckLayer, BodyRules, CheckedBody, Profile, ValidatedImages};
use tower::{Layer, ServiceExt};

static LAYER: LazyLock<BodyCheckLayer> = LazyLock::new(|| {
    BodyRules::new()
        .otherwise(Profile::multipart())
        .into_layer()
});

fuzz_target!(|bytes: &[u8]| {
    let handed_on = Mutex::new(None);
    let service = LAYER.layer(tower::service_fn(
        |request: Request<CheckedBody<Full<Bytes>>>| async {
            let (head, body) = request.into_parts();
            let images = head.extensions.get::<ValidatedImages>().cloned();
            let body = body.collect().await.expect("judged").to_bytes();
            *handed_on.lock().expect("one thread") = Some((body, images));
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        },
    ));
    let request = Request::post("/")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(Full::new(Bytes::copy_from_slice(bytes)))
        .expect("a request");
    let response = pin!(service.oneshot(request));
    let Poll::Ready(Ok(response)) = response.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("it waits for a body that is there");
    };
    match handed_on.lock().expect("one thread").take() {
        Some((body, images)) => {
            assert_eq!(body, bytes, "not the bytes that were judged");
            for image in images.iter().flat_map(ValidatedImages::as_slice) {
                let image = image.bytes();
                // A slice of the body that was handed on, and no copy.
                assert_eq!(body.slice_ref(&image), image);
            }
        }
        None => assert!(!response.status().is_server_error() && response.status() != 200),
    }
});
