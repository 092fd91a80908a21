//! One request, from its head to the end of its response.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, request::Parts};
use http_body::Frame;
use stockade_core::{ClientIp, MatchedRoute, RequestContext, RequestId, Timestamp};

use crate::{layer::Shared, record};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The whole response was handed to the server.
    Completed,
    /// The handler or its body failed or panicked.
    Failed,
    /// Dropped on the way: the client left, or an outer layer gave up.
    ClientLeft,
}

impl Outcome {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::ClientLeft => "client_left",
        }
    }
}

/// Where a request went.
#[derive(Debug)]
pub(crate) enum Place {
    Route(MatchedRoute),
    /// No route is known.
    Path(Uri),
}

/// What is known of a request. Its record is written when it is dropped, so there is one
/// whatever happens.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: RequestId,
    pub(crate) client: Option<ClientIp>,
    pub(crate) context: Option<RequestContext>,
    pub(crate) method: Method,
    pub(crate) place: Place,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) started: Timestamp,
    pub(crate) first_byte: Option<Timestamp>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) grpc_status: Option<u64>,
    pub(crate) bytes_in: Option<Arc<AtomicU64>>,
    pub(crate) bytes_out: u64,
    pub(crate) outcome: Outcome,
    /// What the outcome is between two calls of the inner service.
    resting: Outcome,
}

impl Exchange {
    /// Begins with a call of the inner service: if that panics, the request has failed.
    pub(crate) fn begin(shared: &Arc<Shared>, head: &mut Parts) -> Self {
        let client = ClientIp::of(&head.extensions);
        let mut context = RequestContext::of(&head.extensions).cloned();
        if let (None, Some(client)) = (&context, client) {
            // Without a context the layers inside would have nowhere to leave a verdict.
            let own = RequestContext::new(RequestId::next(), client);
            head.extensions.insert(own.clone());
            context = Some(own);
        }
        Self {
            id: context
                .as_ref()
                .map_or_else(RequestId::next, RequestContext::id),
            client,
            context,
            method: head.method.clone(),
            place: match MatchedRoute::of(&head.extensions) {
                Some(route) => Place::Route(route.clone()),
                None => Place::Path(head.uri.clone()),
            },
            user_agent: (shared.user_agent)
                .then(|| head.headers.get(http::header::USER_AGENT).cloned())
                .flatten(),
            started: shared.log.now(),
            first_byte: None,
            status: None,
            grpc_status: None,
            bytes_in: None,
            bytes_out: 0,
            outcome: Outcome::Failed,
            resting: Outcome::ClientLeft,
            shared: Arc::clone(shared),
        }
    }

    /// Runs a piece of the inner service; if that panics, the request has failed.
    pub(crate) fn run<T>(&mut self, inner: impl FnOnce() -> T) -> T {
        self.outcome = Outcome::Failed;
        let result = inner();
        self.outcome = self.resting;
        result
    }

    /// Between two pieces of the inner service.
    pub(crate) fn rest(&mut self) {
        self.outcome = self.resting;
    }

    /// Whatever happens from now on, the response is complete.
    pub(crate) fn complete(&mut self) {
        self.resting = Outcome::Completed;
        self.outcome = Outcome::Completed;
    }

    /// The inner service or its body returned an error.
    pub(crate) fn fail(&mut self) {
        self.outcome = Outcome::Failed;
    }

    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap) {
        self.status = Some(status);
        self.trailers(headers);
    }

    /// gRPC says its status in the trailers, or in the head where there is nothing else.
    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = trailers.get(&GRPC_STATUS) {
            self.grpc_status = status.to_str().ok().and_then(|status| status.parse().ok());
        }
    }

    pub(crate) fn frame(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            if self.first_byte.is_none() {
                self.first_byte = Some(self.shared.log.now());
            }
            self.bytes_out += data.len() as u64;
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers(trailers);
        }
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        let count = self.bytes_in.as_ref();
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        record::write(self);
    }
}
