//! One request, from its head to the end of its response.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, uri::PathAndQuery};
use stockade_core::{
    client::ClientIp,
    clock::Timestamp,
    context::RequestContext,
    context::{MatchedRoute, RequestId},
    guard::Head,
    guard::{Outcome, ResponseHook},
    refusal::grpc_status,
};

use crate::{AuditLog, body_counter::StandIn, record};

/// What all requests of a recorder share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: AuditLog,
    pub(crate) user_agent: bool,
}

/// Where a request went, as far as nobody has said it in the context.
#[derive(Debug)]
pub(crate) enum Target {
    Route(MatchedRoute),
    /// No route is known.
    Path(Option<PathAndQuery>),
}

/// Whose request it is.
#[derive(Debug)]
pub(crate) enum Caller {
    Known(RequestContext),
    /// Nobody has said who the peer is.
    Nobody(StandIn),
}

/// A request on its way. Its record is written when this is dropped, so there is one
/// whatever happens.
pub struct RecordBuilder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) place: Target,
    pub(crate) user_agent: Option<HeaderValue>,
    pub(crate) started: Timestamp,
    /// When the first byte of the response went out.
    pub(crate) first_byte: Option<Timestamp>,
    /// When it ended, where the clock was read for something else just then.
    pub(crate) ended: Option<Timestamp>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) grpc_status: Option<u16>,
    pub(crate) bytes_out: u64,
    pub(crate) outcome: Outcome,
}

impl RecordBuilder {
    pub(crate) fn begin(shared: &Arc<Shared>, head: &mut Head) -> Self {
        let caller = caller(head);
        Self {
            place: place(&caller, head),
            method: head.method.clone(),
            user_agent: (shared.user_agent)
                .then(|| head.headers.get(http::header::USER_AGENT).cloned())
                .flatten(),
            started: shared.log.now(),
            first_byte: None,
            ended: None,
            status: None,
            grpc_status: None,
            bytes_out: 0,
            // As long as nobody ends it.
            outcome: Outcome::Panicked,
            shared: Arc::clone(shared),
            caller,
        }
    }

    pub(crate) fn context(&self) -> Option<&RequestContext> {
        match &self.caller {
            Caller::Known(context) => Some(context),
            Caller::Nobody(_) => None,
        }
    }

    pub(crate) fn id(&self) -> RequestId {
        self.context_or_stand_in().id()
    }

    pub(crate) fn client(&self) -> Option<ClientIp> {
        self.context().map(RequestContext::client)
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.context_or_stand_in().bytes_read()
    }

    fn context_or_stand_in(&self) -> &RequestContext {
        match &self.caller {
            Caller::Known(context) | Caller::Nobody(StandIn(context)) => context,
        }
    }
}

fn place(caller: &Caller, head: &Head) -> Target {
    let told = match caller {
        Caller::Known(context) => context.route().is_some(),
        Caller::Nobody(_) => false,
    };
    if told {
        return Target::Path(None);
    }
    match head.route() {
        Some(route) => Target::Route(route.clone()),
        None => Target::Path(head.uri.path_and_query().cloned()),
    }
}

fn caller(head: &mut Head) -> Caller {
    if let Some(context) = head.context() {
        return Caller::Known(context.clone());
    }
    let Some(client) = head.client() else {
        let stand_in = RequestContext::new(RequestId::next(), ClientIp::UnixSocket);
        let stand_in = StandIn(stand_in);
        head.extensions.insert(stand_in.clone());
        return Caller::Nobody(stand_in);
    };
    // Without a context the layers inside would have nowhere to leave a verdict.
    let own = RequestContext::new(RequestId::next(), client);
    head.set_context(own.clone());
    Caller::Known(own)
}

impl ResponseHook for RecordBuilder {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.status = Some(status);
        self.on_trailers(headers);
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        if self.first_byte.is_none() {
            let now = self.shared.log.now();
            self.first_byte = Some(now);
            self.ended = last.then_some(now);
        }
        self.bytes_out += data.len() as u64;
    }

    /// gRPC says its status in the trailers, or in the head where there is nothing else.
    fn on_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = grpc_status(trailers) {
            self.grpc_status = Some(status);
        }
    }

    fn on_end(mut self, end: Outcome) {
        self.outcome = end;
    }
}

impl Drop for RecordBuilder {
    fn drop(&mut self) {
        record::write(self);
    }
}

impl fmt::Debug for RecordBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
