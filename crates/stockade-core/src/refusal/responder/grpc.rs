//! Refusals as gRPC trailers-only responses with `google.rpc` details.
//!
//! The HTTP status is always 200: a client that reads the HTTP status of anything else
//! guesses a code of its own. The messages are a handful of fields, so they are encoded
//! here, without a protobuf library in core.

use base64::{Engine as _, prelude::BASE64_STANDARD_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, header::CONTENT_TYPE};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::DenialContext;
use crate::{
    context::RequestId,
    refusal::{Refusal, RefusalKind},
};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
static GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// `ErrorInfo.domain`: whose codes the reasons are.
const DOMAIN: &str = "stockade";

pub(super) fn respond(denied: &DenialContext<'_>, content_type: &'static str) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    push_status(headers, denied.refusal, denied.request_id);
    response
}

/// The trailers that end a gRPC response which has begun: `grpc-status`, `grpc-message` and
/// `grpc-status-details-bin`.
///
/// ```
/// use stockade_core::refusal::{Refusal, RefusalKind, grpc_trailers};
///
/// let refusal = Refusal::new(RefusalKind::Unauthenticated, "the API key is not valid");
/// assert_eq!(grpc_trailers(&refusal, None)["grpc-status"], "16");
/// ```
pub fn grpc_trailers(refusal: &Refusal, request_id: Option<RequestId>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    push_status(&mut trailers, refusal, request_id);
    trailers
}

fn push_status(headers: &mut HeaderMap, refusal: &Refusal, request_id: Option<RequestId>) {
    headers.insert(
        &GRPC_STATUS,
        HeaderValue::from(u16::from(refusal.kind().grpc_code())),
    );
    headers.insert(
        &GRPC_MESSAGE,
        ascii(utf8_percent_encode(refusal.message(), MESSAGE).to_string()),
    );
    headers.insert(
        &GRPC_STATUS_DETAILS,
        ascii(BASE64_STANDARD_NO_PAD.encode(status(refusal, request_id))),
    );
}

fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).expect("visible ASCII is a header value")
}

/// `google.rpc.Status { code = 1; message = 2; details = 3 }`
fn status(refusal: &Refusal, request_id: Option<RequestId>) -> Vec<u8> {
    let mut status = Message::default();
    status.varint(1, u64::from(refusal.kind().grpc_code()));
    status.bytes(2, refusal.message().as_bytes());

    let mut info = Message::default();
    info.bytes(1, refusal.code().as_bytes());
    info.bytes(2, DOMAIN.as_bytes());
    status.detail("ErrorInfo", &info);

    if let Some(seconds) = refusal.retry_after_secs() {
        let mut delay = Message::default();
        delay.varint(1, seconds);
        let mut retry = Message::default();
        retry.bytes(1, &delay.0);
        status.detail("RetryInfo", &retry);
    }

    // Both messages list (subject, description) pairs under the same field numbers.
    let violations = refusal.violations();
    if !violations.is_empty() || refusal.param().is_some() {
        let mut list = Message::default();
        let pairs = violations
            .iter()
            .map(|violation| (violation.subject.as_ref(), violation.description.as_ref()));
        let param = refusal.param().map(|param| (param, refusal.message()));
        for (subject, description) in pairs.chain(param) {
            let mut entry = Message::default();
            entry.bytes(1, subject.as_bytes());
            entry.bytes(2, description.as_bytes());
            list.bytes(1, &entry.0);
        }
        let name = match refusal.kind() {
            RefusalKind::RateLimited => "QuotaFailure",
            _ => "BadRequest",
        };
        status.detail(name, &list);
    }

    if let Some(id) = request_id {
        let mut request = Message::default();
        request.bytes(1, id.to_string().as_bytes());
        status.detail("RequestInfo", &request);
    }
    status.0
}

/// A protobuf message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, field: u8, value: u64) {
        self.0.push(field << 3);
        self.push_varint(value);
    }

    fn bytes(&mut self, field: u8, value: &[u8]) {
        self.0.push(field << 3 | 2);
        self.push_varint(value.len() as u64);
        self.0.extend_from_slice(value);
    }

    /// `google.protobuf.Any { type_url = 1; value = 2 }` in `Status.details`.
    fn detail(&mut self, name: &str, message: &Message) {
        let mut any = Message::default();
        any.bytes(
            1,
            format!("type.googleapis.com/google.rpc.{name}").as_bytes(),
        );
        any.bytes(2, &message.0);
        self.bytes(3, &any.0);
    }

    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}

/// `grpc-message`: all but visible ASCII and space, and `%`, as `%XX`.
const MESSAGE: &AsciiSet = &CONTROLS.add(b'%');
