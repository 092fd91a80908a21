//! Names the types of a fence. They are the same with all features, so this compiles with each
//! of them.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{convert::Infallible, fs};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade::{
    Config, Environment, Fence, FenceBody, FenceFuture, FenceLayer, FenceResponseBody,
    FenceService, Format, core::client::PeerAddr,
};
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = Full<Bytes>;

/// An application that keeps the protected service in a field names its type.
struct App<S> {
    service: FenceService<S>,
}

impl<S> App<S>
where
    S: Service<Request<FenceBody<Body>>, Response = Response<Body>, Error = Infallible> + Clone,
{
    fn new(layer: &FenceLayer, handler: S) -> Self {
        Self {
            service: layer.layer(handler),
        }
    }

    fn call(&mut self, request: Request<Body>) -> FenceFuture<S, Body> {
        self.service.call(request)
    }
}

async fn handler(_: Request<FenceBody<Body>>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Full::from("secret")))
}

#[tokio::test]
async fn the_types_of_a_fence_can_be_named() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.yaml");
    fs::write(&keys, "keys: []\n").unwrap();
    let text = format!(
        "[auth]\nkeys_file = {keys:?}\n\
         [[routes]]\npath = \"/health\"\nmethods = \"GET\"\naccess = \"public\"\n"
    );
    let config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
    let fence = Fence::from_config(&config).await.unwrap();
    let mut app = App::new(&fence.layer(), service_fn(handler));
    let request = |path: &str| {
        let request = Request::get(path).extension(PeerAddr::UnixSocket);
        request.body(Body::default()).unwrap()
    };

    let passed: Response<FenceResponseBody<Body>> = app.call(request("/health")).await.unwrap();
    assert_eq!(passed.status(), StatusCode::OK);
    let refused = app.service.ready().await.unwrap().call(request("/other"));
    assert_eq!(refused.await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
