//! The error at the end of a stream.

use std::fmt;

use bytes::Bytes;
use http::{
    Request, Response,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE},
};
use http_body::{Body, Frame};
use stockade_core::{
    context::RequestContext,
    refusal::{Refusal, anthropic_error, grpc_trailers, is_anthropic_request, openai_error},
};

/// A response extension that marks a stream, and writes the error that ends it if its client loses
/// access.
///
/// Responses of gRPC and of server-sent events need none: they end with a status, and with an error
/// event in the format of the API that the client uses, OpenAI's or Anthropic's.
///
/// ```
/// use axum::response::{IntoResponse, Response};
/// use stockade::FinalEvent;
///
/// // Lines of JSON.
/// fn respond(lines: axum::body::Body) -> Response {
///     let error = FinalEvent::new(|refusal| {
///         format!("{{\"error\":\"{}\"}}\n", refusal.code()).into()
///     });
///     (axum::Extension(error), [("content-type", "application/x-ndjson")], lines).into_response()
/// }
/// # let _ = respond;
/// ```
#[derive(Clone, Copy)]
pub struct FinalEvent(fn(&Refusal) -> Bytes);

impl FinalEvent {
    /// Writes the error with this function.
    pub fn new(write: fn(&Refusal) -> Bytes) -> Self {
        Self(write)
    }
}

impl fmt::Debug for FinalEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FinalEvent")
    }
}

/// How the error event of a stream is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum EventFormat {
    OpenAi,
    Anthropic,
    Custom(FinalEvent),
}

impl EventFormat {
    /// The format of the API that the client of a request uses.
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        match is_anthropic_request(request.uri().path(), request.headers()) {
            true => Self::Anthropic,
            false => Self::OpenAi,
        }
    }

    fn write(self, refusal: &Refusal, context: &RequestContext) -> Bytes {
        match self {
            Self::OpenAi => format!("data: {}\n\n", openai_error(refusal)).into(),
            Self::Anthropic => {
                let error = anthropic_error(refusal, Some(context.id()));
                format!("event: error\ndata: {error}\n\n").into()
            }
            Self::Custom(FinalEvent(write)) => write(refusal),
        }
    }
}

/// How a stream ends with an error.
#[derive(Clone, Copy, Debug)]
pub(super) enum StreamFormat {
    /// Server-sent events.
    Events(EventFormat),
    Grpc,
    /// Another format.
    Custom(FinalEvent),
    /// A compressed stream, in which no error can be written.
    Opaque,
}

impl StreamFormat {
    /// The format of a response; `None` if it is no stream.
    pub(super) fn of<R>(response: &Response<R>, events: EventFormat) -> Option<Self>
    where
        R: Body,
    {
        let (headers, body) = (response.headers(), response.body());
        let has_length = body.is_end_stream()
            || body.size_hint().exact().is_some()
            || headers.contains_key(CONTENT_LENGTH);
        if has_length || !response.status().is_success() {
            return None;
        }
        let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
        let is = |prefix: &[u8]| {
            let start = content_type.and_then(|value| value.get(..prefix.len()));
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let event = response.extensions().get::<FinalEvent>();
        let format = if is(b"application/grpc") {
            Self::Grpc
        } else if is(b"text/event-stream") {
            Self::Events(event.map_or(events, |event| EventFormat::Custom(*event)))
        } else {
            Self::Custom(*event?)
        };
        let is_compressed = headers.contains_key(CONTENT_ENCODING);
        Some(match is_compressed {
            true => Self::Opaque,
            false => format,
        })
    }

    /// The last frame of a stream; `None` if no error can be written.
    pub(super) fn last_frame(
        self,
        refusal: &Refusal,
        context: &RequestContext,
        in_event: bool,
    ) -> Option<Frame<Bytes>> {
        Some(match self {
            Self::Events(format) => {
                let event = format.write(refusal, context);
                Frame::data(match in_event {
                    // The error is an event of its own.
                    true => [b"\n\n", &*event].concat().into(),
                    false => event,
                })
            }
            Self::Custom(FinalEvent(write)) => Frame::data(write(refusal)),
            Self::Grpc => Frame::trailers(grpc_trailers(refusal, Some(context.id()))),
            Self::Opaque => return None,
        })
    }
}

/// The position in a stream of server-sent events.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventPosition {
    /// The last bytes, the latest one last.
    tail: [u8; 2],
    has_begun: bool,
}

impl EventPosition {
    /// Follows the stream.
    pub(super) fn push(&mut self, data: &[u8]) {
        for byte in &data[data.len().saturating_sub(3)..] {
            // A line may end with CR LF, of which the LF alone matters here.
            if *byte != b'\r' {
                self.tail = [self.tail[1], *byte];
            }
        }
        self.has_begun |= !data.is_empty();
    }

    /// Whether an event has begun and not ended.
    pub(super) fn is_in_event(self) -> bool {
        self.has_begun && self.tail != *b"\n\n"
    }
}
