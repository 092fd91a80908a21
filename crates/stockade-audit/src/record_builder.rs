//! The response hook that collects the facts of a record.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::USER_AGENT};
use stockade_core::{
    guard::{Head, Outcome, ResponseHook},
    refusal::grpc_status,
};

use crate::{AuditLog, record::RequestRecord};

/// The settings that all requests of a recorder share.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) log: AuditLog,
    pub(crate) user_agent: bool,
}

/// Collects the facts of one request, and writes its record on drop, so that each request has
/// exactly one record.
pub struct RecordBuilder {
    settings: Arc<Settings>,
    record: RequestRecord,
}

impl RecordBuilder {
    pub(crate) fn new(settings: &Arc<Settings>, head: &Head) -> Self {
        let context = head.context().clone();
        let path = match context.route() {
            Some(_) => None,
            None => head.uri.path_and_query().cloned(),
        };
        let user_agent = match settings.user_agent {
            true => head.headers.get(USER_AGENT).cloned(),
            false => None,
        };
        Self {
            record: RequestRecord {
                started: settings.log.arrival(&context),
                context,
                method: head.method.clone(),
                path,
                user_agent,
                first_byte: None,
                ended: None,
                status: None,
                grpc_status: None,
                bytes_out: 0,
                // Unless `on_end` is called.
                outcome: Outcome::Panicked,
            },
            settings: Arc::clone(settings),
        }
    }
}

impl ResponseHook for RecordBuilder {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.record.status = Some(status);
        self.on_trailers(headers);
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        if self.record.first_byte.is_none() {
            let now = self.settings.log.now();
            self.record.first_byte = Some(now);
            self.record.ended = last.then_some(now);
        }
        self.record.bytes_out += data.len() as u64;
    }

    /// The status of gRPC is in the trailers, or in the head of a response without a body.
    fn on_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(status) = grpc_status(trailers) {
            self.record.grpc_status = Some(status);
        }
    }

    fn on_end(mut self, outcome: Outcome) {
        self.record.outcome = outcome;
    }
}

impl Drop for RecordBuilder {
    fn drop(&mut self) {
        self.record.write(&self.settings.log);
    }
}

impl fmt::Debug for RecordBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordBuilder")
            .field("id", &self.record.context.id())
            .finish_non_exhaustive()
    }
}
