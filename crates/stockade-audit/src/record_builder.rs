//! One request, from its head to the end of its response.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, uri::PathAndQuery};
use stockade_core::{
    clock::Timestamp,
    context::RequestContext,
    guard::Head,
    guard::{Outcome, ResponseHook},
    refusal::grpc_status,
};

use crate::{AuditLog, record};

/// What all requests of a recorder share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) log: AuditLog,
    pub(crate) user_agent: bool,
}

/// A request on its way. Its record is written when this is dropped, so there is one
/// whatever happens.
pub struct RecordBuilder {
    pub(crate) shared: Arc<Shared>,
    pub(crate) context: RequestContext,
    pub(crate) method: Method,
    /// Set where no route was known when the request arrived.
    pub(crate) path: Option<PathAndQuery>,
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
    pub(crate) fn begin(shared: &Arc<Shared>, head: &Head) -> Self {
        let context = head.context().clone();
        Self {
            path: match context.route() {
                Some(_) => None,
                None => head.uri.path_and_query().cloned(),
            },
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
            context,
        }
    }
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
            .field("id", &self.context.id())
            .finish_non_exhaustive()
    }
}
