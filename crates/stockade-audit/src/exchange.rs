//! One request, from its head to the end of its response.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, request::Parts, uri::PathAndQuery,
};
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

/// Where a request went, as far as nobody has said it in the context.
#[derive(Debug)]
pub(crate) enum Place {
    Route(MatchedRoute),
    /// No route is known.
    Path(Option<PathAndQuery>),
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Caller {
    Known(RequestContext),
    /// Nobody has said who the peer is.
    Nobody(RequestId),
}

/// What is known of a request, in one place that its body shares with the response's:
/// neither is larger than a pointer for it while they travel through other layers.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) place: Place,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) started: Timestamp,
    first_byte: AtomicU64,
    ended: AtomicU64,
    bytes_in: AtomicU64,
    /// Written by the response alone.
    bytes_out: AtomicU64,
}

/// No moment, in nanoseconds.
const NOT_YET: u64 = 0;

fn moment(nanos: &AtomicU64) -> Option<Timestamp> {
    let nanos = nanos.load(Relaxed);
    (nanos != NOT_YET).then(|| Timestamp::from_nanos(nanos))
}

impl Facts {
    fn of(shared: &Arc<Shared>, head: &mut Parts) -> Self {
        let caller = caller(head);
        Self {
            place: place(&caller, head),
            method: head.method.clone(),
            user_agent: (shared.user_agent)
                .then(|| head.headers.get(http::header::USER_AGENT).cloned())
                .flatten(),
            started: shared.log.now(),
            first_byte: AtomicU64::new(NOT_YET),
            ended: AtomicU64::new(NOT_YET),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            shared: Arc::clone(shared),
            caller,
        }
    }

    /// When the first byte of the response went out.
    pub(crate) fn first_byte(&self) -> Option<Timestamp> {
        moment(&self.first_byte)
    }

    /// When it ended, where the clock was read for something else just then.
    pub(crate) fn ended(&self) -> Option<Timestamp> {
        moment(&self.ended)
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Relaxed)
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Relaxed)
    }

    /// The inner service has read so much more of the request's body.
    pub(crate) fn read(&self, bytes: u64) {
        self.bytes_in.fetch_add(bytes, Relaxed);
    }

    pub(crate) fn context(&self) -> Option<&RequestContext> {
        match &self.caller {
            Caller::Known(context) => Some(context),
            Caller::Nobody(_) => None,
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        match &self.caller {
            Caller::Known(context) => context.id(),
            Caller::Nobody(id) => *id,
        }
    }

    pub(crate) fn client(&self) -> Option<ClientIp> {
        self.context().map(RequestContext::client)
    }
}

fn place(caller: &Caller, head: &Parts) -> Place {
    let told = match caller {
        Caller::Known(context) => context.route().is_some(),
        Caller::Nobody(_) => false,
    };
    if told {
        return Place::Path(None);
    }
    match MatchedRoute::of(&head.extensions) {
        Some(route) => Place::Route(route.clone()),
        None => Place::Path(head.uri.path_and_query().cloned()),
    }
}

fn caller(head: &mut Parts) -> Caller {
    if let Some(context) = RequestContext::of(&head.extensions) {
        return Caller::Known(context.clone());
    }
    let Some(client) = ClientIp::of(&head.extensions) else {
        return Caller::Nobody(RequestId::next());
    };
    // Without a context the layers inside would have nowhere to leave a verdict.
    let own = RequestContext::new(RequestId::next(), client);
    head.extensions.insert(own.clone());
    Caller::Known(own)
}

/// A request on its way. Its record is written when this is dropped, so there is one
/// whatever happens.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) facts: Arc<Facts>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) grpc_status: Option<u16>,
    pub(crate) outcome: Outcome,
    /// What the outcome is between two calls of the inner service.
    resting: Outcome,
}

impl Exchange {
    /// Begins with a call of the inner service: if that panics, the request has failed.
    pub(crate) fn begin(shared: &Arc<Shared>, head: &mut Parts) -> Self {
        Self {
            facts: Arc::new(Facts::of(shared, head)),
            status: None,
            grpc_status: None,
            outcome: Outcome::Failed,
            resting: Outcome::ClientLeft,
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

    /// Takes note of a frame, the response's last one or not.
    pub(crate) fn frame(&mut self, frame: &Frame<Bytes>, last: bool) {
        if let Some(data) = frame.data_ref() {
            let facts = &*self.facts;
            if facts.first_byte.load(Relaxed) == NOT_YET {
                let now = facts.shared.log.now().as_nanos();
                facts.first_byte.store(now, Relaxed);
                if last {
                    facts.ended.store(now, Relaxed);
                }
            }
            let before = facts.bytes_out();
            facts.bytes_out.store(before + data.len() as u64, Relaxed);
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers(trailers);
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        record::write(self);
    }
}
