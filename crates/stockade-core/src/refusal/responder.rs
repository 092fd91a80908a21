//! The one place where a refusal becomes a response.

mod anthropic;
mod error_format;
mod grpc;
mod grpc_call;
mod json;
mod openai;
mod problem;
mod wiring;

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    request::Parts,
};

pub use anthropic::anthropic_error;
pub use error_format::{ErrorFormat, is_anthropic_request};
pub use grpc::grpc_trailers;
pub use grpc_call::is_grpc_route;
pub use openai::openai_error;

use crate::{
    context::{RequestContext, RequestId},
    guard::{Head, Refused},
    refusal::{NOT_CONFIGURED, Refusal, StandingRefusal},
};

/// Turns refusals into responses, in the format of the client.
///
/// 1. A gRPC call is answered in gRPC: a POST over HTTP/2 with the content type
///    `application/grpc` (or one of gRPC-Web, over any version) to `/package.Service/Method`.
///    Where the [`MatchedRoute`](crate::context::MatchedRoute) is known, it decides, and a prefix may
///    stand before it; otherwise the path does. Any other request with that content type is
///    not, so that a refusal of a JSON route never has the status 200. A service without a
///    package needs a name with a capital (`/Greeter/SayHello`).
/// 2. A client that accepts `application/problem+json` gets that.
/// 3. A client of Anthropic's API gets its format: the path is `/v1/messages`, below any prefix, or
///    the request has the header `anthropic-version`.
/// 4. All others get the default format, which is OpenAI's unless it is set.
///
/// A closure can write the responses of 2 to 4 instead; whatever it returns, the response
/// stays a refusal and gets the headers of the protocol. Where no service speaks gRPC,
/// [`without_grpc`](Self::without_grpc) leaves out 1.
///
/// ```
/// use bytes::Bytes;
/// use http::Response;
/// use stockade_core::refusal::{DenialContext, ErrorFormat, Responder};
///
/// let problems = Responder::default().default_format(ErrorFormat::Problem);
///
/// let plain = Responder::default().custom(|denied: &DenialContext<'_>| {
///     let text = denied.refusal().message().to_owned();
///     Response::builder()
///         .status(denied.refusal().kind().status())
///         .body(Bytes::from(text))
///         .expect("a status and a text make a response")
/// });
/// # let _ = (problems, plain);
/// ```
#[derive(Clone, Default)]
pub struct Responder {
    format: ErrorFormat,
    no_grpc: bool,
    custom: Option<Arc<Custom>>,
}

type Custom = dyn Fn(&DenialContext<'_>) -> Response<Bytes> + Send + Sync;

impl Responder {
    /// The format of clients that ask for none.
    pub fn default_format(mut self, format: ErrorFormat) -> Self {
        self.format = format;
        self
    }

    /// Never answers in gRPC, for servers whose routes are all of another kind.
    pub fn without_grpc(mut self) -> Self {
        self.no_grpc = true;
        self
    }

    /// Writes the responses to all but gRPC calls.
    ///
    /// The status must be an error (4xx or 5xx); where it is not, the refusal's own
    /// status is put in its place.
    pub fn custom<F>(mut self, write: F) -> Self
    where
        F: Fn(&DenialContext<'_>) -> Response<Bytes> + Send + Sync + 'static,
    {
        self.custom = Some(Arc::new(write));
        self
    }

    /// Records the denial in the request's context and answers the request.
    pub(crate) fn refuse(&self, refused: &Refused, head: &Head) -> Response<Bytes> {
        let Refused { guard, refusal } = refused;
        let context = head.existing_context();
        let standing = StandingRefusal::in_place_of(refusal, context);
        let (guard, refusal) = standing.unwrap_or((guard, refusal));
        if refusal.code() == NOT_CONFIGURED {
            wiring::report(guard, refusal.internal_reason());
        }
        if let Some(context) = context {
            context.refuse(guard, refusal);
        }
        self.write(refusal, head, context)
    }

    /// The response to a refused request, also for what is refused outside a guard.
    pub fn respond(&self, refusal: &Refusal, head: &Parts) -> Response<Bytes> {
        self.write(refusal, head, RequestContext::of(&head.extensions))
    }

    fn write(
        &self,
        refusal: &Refusal,
        head: &Parts,
        context: Option<&RequestContext>,
    ) -> Response<Bytes> {
        let grpc = if self.no_grpc {
            None
        } else {
            grpc_call::answer_type(head, context.and_then(RequestContext::route))
        };
        let format = match grpc {
            Some(content_type) => ErrorFormat::Grpc(content_type),
            None => ErrorFormat::negotiate(head, self.format),
        };
        let denied = DenialContext {
            refusal,
            format,
            request_id: context.map(RequestContext::id),
        };
        let mut response = match (denied.format, &self.custom) {
            (ErrorFormat::Grpc(content_type), _) => grpc::respond(&denied, content_type),
            (_, Some(write)) => errors_only(write(&denied), refusal.kind().status()),
            (ErrorFormat::OpenAi, None) => openai::respond(&denied),
            (ErrorFormat::Anthropic, None) => anthropic::respond(&denied),
            (ErrorFormat::Problem, None) => problem::respond(&denied),
        };
        let headers = response.headers_mut();
        for (name, value) in refusal.headers() {
            headers.append(name, value.clone());
        }
        if let Some(seconds) = refusal.retry_after_secs() {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

fn errors_only(mut response: Response<Bytes>, status: StatusCode) -> Response<Bytes> {
    if !(response.status().is_client_error() || response.status().is_server_error()) {
        *response.status_mut() = status;
    }
    response
}

/// Capacity for the fields of a refusal, and some more.
const FIELDS: usize = 12;

/// A response of this status and type; the basis of the JSON formats.
fn json_response(status: StatusCode, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    // The fields of the protocol, of limits, and the request's id come after it.
    *response.headers_mut() = HeaderMap::with_capacity(FIELDS);
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder")
            .field("default_format", &self.format)
            .field("without_grpc", &self.no_grpc)
            .field("custom", &self.custom.is_some())
            .finish()
    }
}

/// A refusal on its way to a client.
#[derive(Clone, Copy, Debug)]
pub struct DenialContext<'a> {
    refusal: &'a Refusal,
    format: ErrorFormat,
    request_id: Option<RequestId>,
}

impl<'a> DenialContext<'a> {
    /// What was refused.
    pub fn refusal(&self) -> &'a Refusal {
        self.refusal
    }

    /// What the client speaks.
    pub fn format(&self) -> ErrorFormat {
        self.format
    }

    /// The request's id, if the request has a context.
    pub fn request_id(&self) -> Option<RequestId> {
        self.request_id
    }
}

#[cfg(test)]
mod tests;
