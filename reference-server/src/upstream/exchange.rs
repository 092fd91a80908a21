//! One attempt at one upstream, from the free slot to the head of the response.

use std::{sync::Arc, time::SystemTime};

use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode,
    header::{
        ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, COOKIE, HOST,
        PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use super::{
    GroupSettings, UpstreamError, UpstreamErrorKind, UpstreamRequest,
    breaker::{Health, Pass},
    classify,
    gate::Permit,
    member::Member,
    metrics::GaugeGuard,
    request::OutgoingBody,
    retry::retry_after,
};
use crate::{error_chain::chain, telemetry::AttemptSpan};

/// A request in progress at one upstream: holds its slot, and records its outcome once. Dropped
/// without one, it was cancelled.
pub(super) struct Exchange {
    member: Arc<Member>,
    pass: Option<Pass>,
    started: Instant,
    span: AttemptSpan,
    _permit: Permit,
    _gauge: GaugeGuard,
}

impl Exchange {
    pub(super) fn new(member: Arc<Member>, pass: Pass, permit: Permit) -> Self {
        Self {
            _gauge: member.metrics().run(),
            _permit: permit,
            started: Instant::now(),
            span: AttemptSpan::default(),
            pass: Some(pass),
            member,
        }
    }

    pub(super) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// Records the outcome; only the first one counts.
    pub(super) fn end(&mut self, outcome: &'static str, health: Health) {
        if let Some(pass) = self.pass.take() {
            self.span.end(None);
            self.member.metrics().ended(outcome);
            self.member.record(pass, health);
        }
    }

    /// Records an error as the outcome.
    pub(super) fn fail(&mut self, error: &UpstreamError) {
        let kind = error.kind();
        let health = match kind {
            UpstreamErrorKind::Connect
            | UpstreamErrorKind::Tls
            | UpstreamErrorKind::FirstByteTimeout
            | UpstreamErrorKind::IdleTimeout
            | UpstreamErrorKind::Reset => Health::Failure,
            // Of the client, or of one response; other requests may be fine.
            _ => Health::Unknown,
        };
        if health == Health::Failure {
            self.member.set_last_error(chain(error));
        }
        self.span.end(Some(kind.label()));
        self.end(kind.label(), health);
    }

    /// Sends the request, and waits for the head of the response. Of all attempts, this is the
    /// one with this number, from 1.
    pub(super) async fn send(
        &mut self,
        request: &UpstreamRequest,
        settings: &GroupSettings,
        attempt: u32,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let result = self.head(request, settings, attempt).await;
        if let Err(error) = &result {
            self.fail(error);
        }
        result
    }

    async fn head(
        &mut self,
        request: &UpstreamRequest,
        settings: &GroupSettings,
        attempt: u32,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let mut http = outgoing(request, &self.member)?;
        self.span = AttemptSpan::start(&mut http, self.member.url(), attempt - 1);
        let first_byte = self.started + settings.first_byte_timeout;
        let in_time = request.streaming && first_byte < request.deadline;
        let (until, late) = match in_time {
            true => (first_byte, UpstreamErrorKind::FirstByteTimeout),
            false => (request.deadline, UpstreamErrorKind::Deadline),
        };
        let response = timeout_at(until, self.member.client().request(http)).await;
        let response = response
            .map_err(|_| UpstreamError::new(late))?
            .map_err(|error| UpstreamError::with_source(classify::request_error(&error), error))?;
        self.span.respond(response.status());
        self.member.metrics().first_byte(self.started.elapsed());
        check(&response, settings)?;
        Ok(response)
    }

    /// Records what the status means for the availability of the upstream.
    pub(super) fn record_status(&mut self, status: StatusCode, headers: &HeaderMap) {
        match status {
            StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => {
                self.member
                    .set_last_error(format!("the upstream answered {status}"));
                self.end("unavailable", Health::Failure);
            }
            StatusCode::TOO_MANY_REQUESTS => {
                if let Some(time) = retry_after(headers, SystemTime::now()) {
                    self.member.pause(time);
                }
                self.end("rate_limited", Health::Success);
            }
            _ => {
                if let Some(pass) = self.pass {
                    self.member.record_trial(pass);
                }
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.end("cancelled", Health::Unknown);
    }
}

/// The credentials of clients never leave, and the connection is the transport's.
const REMOVED: [http::HeaderName; 9] = [
    AUTHORIZATION,
    PROXY_AUTHORIZATION,
    COOKIE,
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    CONNECTION,
    UPGRADE,
    TE,
];

fn outgoing(
    request: &UpstreamRequest,
    member: &Member,
) -> Result<Request<OutgoingBody>, UpstreamError> {
    let invalid = |text| UpstreamError::with_source(UpstreamErrorKind::Protocol, text);
    let url = match request.at_root {
        true => member.url().at_root(&request.path),
        false => member.url().join(&request.path),
    };
    let url = url.ok_or_else(|| invalid("the path of the request is invalid"))?;
    let body = request.body.with_model(member.model_json());
    let body = body.ok_or_else(|| invalid("the model's name is outside the body"))?;
    let mut http = Request::new(body);
    *http.method_mut() = request.method.clone();
    *http.uri_mut() = url;
    let headers = http.headers_mut();
    *headers = request.headers.clone();
    for name in REMOVED {
        headers.remove(name);
    }
    headers.remove("x-api-key");
    headers.remove(TRAILER);
    // The caller reads the response: usage, errors, and the text that it checks.
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    member.add_key(headers);
    Ok(http)
}

/// Refuses responses that cannot be handed on: redirects, which would send the key and the prompt
/// elsewhere, and bodies that are encoded or too large.
fn check(response: &Response<Incoming>, settings: &GroupSettings) -> Result<(), UpstreamError> {
    let protocol = |text| UpstreamError::with_source(UpstreamErrorKind::Protocol, text);
    let status = response.status();
    if status.is_informational() || status.is_redirection() {
        return Err(protocol(format!(
            "the status is {status}; redirects are not followed"
        )));
    }
    if response.body().size_hint().lower() > settings.max_response_bytes.get() {
        return Err(UpstreamError::new(UpstreamErrorKind::TooLarge));
    }
    let encoding = response.headers().get(CONTENT_ENCODING);
    match encoding.is_none_or(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        true => Ok(()),
        false => Err(protocol(
            "the body is encoded, which was not accepted".to_owned(),
        )),
    }
}
