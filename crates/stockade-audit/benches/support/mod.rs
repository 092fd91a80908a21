//! A request, the layer around a service that responds immediately, and the service alone.

use std::{
    convert::Infallible,
    hint::black_box,
    io,
    net::SocketAddr,
    pin::pin,
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stockade_audit::{
    AuditLayer, AuditLog, Batch, ChainKey, Fsync, Journal, JournalBuilder, Overflow, Sink,
};
use stockade_core::{
    client::PeerAddr,
    context::{MatchedRoute, RequestContext},
    identity::Principal,
    llm::{ModelRequest, TokenUsage},
};
use tower::{Layer, Service};

pub(crate) type Body = Full<Bytes>;

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;

/// A sink that discards records.
pub(crate) struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        black_box(batch.bytes());
        Ok(())
    }
}

/// A journal that loses no record.
pub(crate) fn journal(sink: impl Sink, chained: bool) -> JournalBuilder {
    let overflow = Overflow::Block {
        at_most: Duration::from_secs(60),
    };
    let builder = Journal::builder(sink, overflow)
        .fsync(Fsync::Never)
        .capacity(64 << 20);
    if chained {
        builder.chain(ChainKey::new("k1", [7; 32]).unwrap())
    } else {
        builder
    }
}

/// The parts that all requests share: a matched route and a principal.
pub(crate) struct Client {
    route: MatchedRoute,
    principal: Principal,
}

impl Client {
    pub(crate) fn new() -> Self {
        Self {
            route: MatchedRoute::new("/v1/chat/completions"),
            principal: Principal::builder("team-core").build(),
        }
    }

    /// Returns a request with all facts that other layers would provide.
    pub(crate) fn request(&self) -> Request<Body> {
        let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
        let mut request = Request::post("/v1/chat/completions")
            .body(Body::new(Bytes::from_static(CHAT.as_bytes())))
            .unwrap();
        let context = RequestContext::builder().client(peer.into()).build();
        context.set_route(self.route.clone());
        context.authenticate(self.principal.clone());
        context.set_model_request(ModelRequest::new(
            Some("Qwen2.5-VL-7B".into()),
            812,
            Some(256),
        ));
        context.set_usage(TokenUsage {
            prompt_tokens: 812,
            completion_tokens: 97,
        });
        request.extensions_mut().insert(context);
        request
    }
}

/// Sends a request and reads the response to its end, without a runtime.
pub(crate) fn run<S, B>(service: &mut S, request: Request<Body>)
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body + Unpin,
{
    let future = pin!(async {
        let mut body = service.call(request).await.unwrap().into_body();
        while let Some(frame) = body.frame().await {
            drop(black_box(frame));
        }
    });
    let polled = future.poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled.is_ready(), "the service responds immediately");
}

/// The layer around the service.
pub(crate) fn audited(
    log: AuditLog,
) -> impl Service<Request<Body>, Response = Response<impl http_body::Body + Unpin>, Error = Infallible>
{
    AuditLayer::new(log).layer(tower::service_fn(answer))
}

/// The service alone.
pub(crate) fn bare() -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible> {
    tower::service_fn(answer)
}

/// Reads the request to its end, and responds.
async fn answer<B>(request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body + Unpin,
{
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        drop(black_box(frame));
    }
    Ok(Response::new(Body::new(Bytes::from_static(b"ok"))))
}
