//! Sends requests through the layer.

use std::{
    convert::Infallible,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Extensions, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody};
use serde_json::Value;
use stockade_body::{BodyLayer, BodyRules, CheckedBody, Profile, ValidatedImages};
use stockade_core::{context::RequestContext, identity::Principal, llm::ModelRequest};
use tokio_stream::StreamExt;
use tower::{Layer, ServiceExt};

/// A GIF of one pixel.
pub(crate) const GIF: &str = "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7";

/// The outcome of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    Passed(Passed),
    Refused(Refused),
}

/// What the handler received.
#[derive(Debug)]
pub(crate) struct Passed {
    pub(crate) body: Bytes,
    pub(crate) demand: Option<ModelRequest>,
    pub(crate) images: Option<ValidatedImages>,
}

/// What the client received.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) param: Option<String>,
    pub(crate) message: String,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn passed(self) -> Passed {
        match self {
            Self::Passed(passed) => passed,
            Self::Refused(refused) => panic!("refused: {refused:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn refused(self) -> Refused {
        match self {
            Self::Refused(refused) => refused,
            Self::Passed(_) => panic!("passed"),
        }
    }

    /// The refusal's code, or `passed`.
    pub(crate) fn code(self) -> String {
        match self {
            Self::Passed(_) => "passed".to_owned(),
            Self::Refused(refused) => refused.code,
        }
    }
}

/// Sends a request through a layer to a handler that reads the whole body.
pub(crate) async fn send<B>(layer: &BodyLayer, request: Request<B>) -> Outcome
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let seen: Mutex<Option<(Extensions, Bytes)>> = Mutex::new(None);
    let service = layer.layer(tower::service_fn(
        |request: Request<CheckedBody<B>>| async {
            let (head, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string());
            *seen.lock().unwrap() = Some((head.extensions, body?.to_bytes()));
            Ok::<_, String>(Response::new(Full::<Bytes>::default()))
        },
    ));
    let response = service.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    if let Some((extensions, body)) = seen.into_inner().unwrap() {
        return Outcome::Passed(Passed {
            body,
            demand: RequestContext::of(&extensions)
                .and_then(|context| context.model_request().cloned()),
            images: extensions.get().cloned(),
        });
    }
    let answer = response.into_body().collect().await.unwrap().to_bytes();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    let text = |name: &str| answer["error"][name].as_str().map(str::to_owned);
    Outcome::Refused(Refused {
        status,
        code: text("code").unwrap(),
        param: text("param"),
        message: text("message").unwrap(),
    })
}

/// A layer with one route, `POST /`.
pub(crate) fn layer(profile: Profile) -> BodyLayer {
    BodyLayer::new(BodyRules::new().route(Method::POST, "/", profile))
}

/// A request with this media type to that route.
pub(crate) fn post(content_type: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post("/")
        .header("content-type", content_type)
        .body(Full::new(body.into()))
        .unwrap()
}

/// Validates JSON against a profile.
pub(crate) async fn json(profile: Profile, body: impl Into<Bytes>) -> Outcome {
    send(&layer(profile), post("application/json", body)).await
}

/// Validates JSON for a principal.
pub(crate) async fn json_by(
    principal: Principal,
    profile: Profile,
    body: impl Into<Bytes>,
) -> Outcome {
    let mut request = post("application/json", body);
    RequestContext::get_or_insert(request.extensions_mut()).authenticate(principal);
    send(&layer(profile), request).await
}

/// A body of these frames without a declared length, which counts the frames read.
pub(crate) fn frames<I>(
    frames: I,
) -> (
    impl Body<Data = Bytes, Error = Infallible> + Unpin,
    Arc<Mutex<usize>>,
)
where
    I: IntoIterator<Item = Bytes>,
    I::IntoIter: Unpin,
{
    let read = Arc::new(Mutex::new(0));
    let counter = Arc::clone(&read);
    let mut frames = frames.into_iter();
    let body = tokio_stream::iter(std::iter::from_fn(move || {
        let frame = frames.next()?;
        *counter.lock().unwrap() += 1;
        Some(Ok(Frame::data(frame)))
    }));
    (StreamBody::new(body), read)
}

/// A body of these frames with a delay before each.
pub(crate) fn slow<I>(
    after: Duration,
    frames: I,
) -> impl Body<Data = Bytes, Error = Infallible> + Unpin
where
    I: IntoIterator<Item = Bytes>,
    I::IntoIter: 'static,
{
    // A throttled stream does not wait for its first item.
    let frames = [Bytes::new()].into_iter().chain(frames);
    let frames = tokio_stream::iter(frames).throttle(after);
    StreamBody::new(Box::pin(frames.map(|frame| Ok(Frame::data(frame)))))
}
