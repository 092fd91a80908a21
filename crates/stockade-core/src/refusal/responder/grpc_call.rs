//! Which requests are gRPC calls.

use http::{Method, Version, header::CONTENT_TYPE, request::Parts};

use super::error_format::essence;
use crate::context::MatchedRoute;

/// The content type to answer a gRPC call with; `None` for any other request.
///
/// The content type alone is the client's to choose. So a call is also a POST to a gRPC
/// method, and over HTTP/2 or later, but for gRPC-Web.
pub(super) fn answer_type(head: &Parts, route: Option<&MatchedRoute>) -> Option<&'static str> {
    let content_type = head.headers.get(CONTENT_TYPE)?;
    let answer = grpc_type(content_type.as_bytes())?;
    let needs_http2 = answer == GRPC_TYPES[0];
    let is_call = head.method == Method::POST
        && (!needs_http2 || head.version >= Version::HTTP_2)
        && match route {
            // What the router chose cannot be influenced by a client.
            Some(route) if !takes_all(route.as_str()) => is_grpc_route(route.as_str()),
            _ => is_method_path(head.uri.path()),
        };
    is_call.then_some(answer)
}

/// Whether a route is that of gRPC methods: `/package.Service/Method`, below any prefix, and
/// perhaps with a parameter in the place of the method.
///
/// A service without a package is recognised by a capital (`/Greeter/SayHello`), so that
/// `/v1/models` and `/users/{id}` are none.
///
/// ```
/// use stockade_core::refusal::is_grpc_route;
///
/// assert!(is_grpc_route("/grpc.health.v1.Health/Check"));
/// assert!(is_grpc_route("/api/grpc.health.v1.Health/{*method}"));
/// assert!(!is_grpc_route("/v1/completions"));
/// ```
pub fn is_grpc_route(route: &str) -> bool {
    let Some((before, method)) = route.rsplit_once('/') else {
        return false;
    };
    let service = before.rsplit('/').next().unwrap_or_default();
    is_service(service) && (method.starts_with('{') || is_name(method))
}

/// Whether a path can be that of a gRPC method. Nothing may stand before it: an id in a path
/// of another kind may have dots and capitals, too.
fn is_method_path(path: &str) -> bool {
    is_grpc_route(path) && path.bytes().filter(|byte| *byte == b'/').count() == 2
}

/// A route that takes any path, and so does not identify a method.
fn takes_all(route: &str) -> bool {
    route.starts_with("/{*")
}

/// A service with its package, or one that begins with a capital.
fn is_service(text: &str) -> bool {
    let capital = text.starts_with(|first: char| first.is_ascii_uppercase());
    (capital || text.contains('.')) && text.split('.').all(is_name)
}

/// An identifier of protobuf.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.starts_with(|first: char| first.is_ascii_digit())
        && !text.is_empty()
        && text.bytes().all(plain)
}

const GRPC_TYPES: [&str; 3] = [
    "application/grpc",
    "application/grpc-web",
    "application/grpc-web-text",
];

/// The answer's content type for that of a request.
fn grpc_type(content_type: &[u8]) -> Option<&'static str> {
    // Most requests are ruled out by their first bytes.
    const BEGINNING: &[u8] = b"application/grpc";
    let beginning = content_type.trim_ascii_start().get(..BEGINNING.len())?;
    if !beginning.eq_ignore_ascii_case(BEGINNING) {
        return None;
    }
    let base = essence(content_type);
    let base = base.split(|byte| *byte == b'+').next().unwrap_or(base);
    GRPC_TYPES
        .into_iter()
        .find(|grpc| base.eq_ignore_ascii_case(grpc.as_bytes()))
}
