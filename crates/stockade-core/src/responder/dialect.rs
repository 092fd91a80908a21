//! Which language of refusals a client speaks.

use http::{
    Method, Version,
    header::{ACCEPT, CONTENT_TYPE},
    request::Parts,
};

/// How a refusal is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// `{"error":{"message","type","param","code"}}`, as OpenAI's clients read it.
    #[default]
    OpenAi,
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// A trailers-only response with `grpc-status`; the content type says which gRPC.
    Grpc(&'static str),
}

impl Dialect {
    /// What the caller of this request reads, other than gRPC.
    pub(super) fn negotiate(head: &Parts, default: Self) -> Self {
        const PROBLEM: &[u8] = b"application/problem+json";
        let accepts_problem = head
            .headers
            .get_all(ACCEPT)
            .iter()
            // What most clients accept is shorter than this.
            .filter(|line| line.len() >= PROBLEM.len())
            .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
            .any(|range| essence(range).eq_ignore_ascii_case(PROBLEM));
        if accepts_problem {
            Self::Problem
        } else {
            default
        }
    }
}

/// The content type to answer a gRPC call with; `None` for any other request.
///
/// The content type alone is the client's to choose. So a call is also a POST to
/// `/package.Service/Method`, and over HTTP/2 or later, but for gRPC-Web.
pub(super) fn grpc(head: &Parts) -> Option<&'static str> {
    let content_type = head.headers.get(CONTENT_TYPE)?;
    let answer = grpc_type(content_type.as_bytes())?;
    let framed = answer == GRPC_TYPES[0];
    let is_call = head.method == Method::POST
        && (!framed || head.version >= Version::HTTP_2)
        && is_grpc_path(head.uri.path());
    is_call.then_some(answer)
}

/// Whether a path can be that of a gRPC method: `/package.Service/Method`.
///
/// A service without a package is recognised by a capital (`/Greeter/SayHello`), so that
/// `/v1/models` and `/users/alice` are none.
///
/// ```
/// use stockade_core::is_grpc_path;
///
/// assert!(is_grpc_path("/grpc.health.v1.Health/Check"));
/// assert!(!is_grpc_path("/v1/completions"));
/// ```
pub fn is_grpc_path(path: &str) -> bool {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/'))
    else {
        return false;
    };
    let capital = service.starts_with(|first: char| first.is_ascii_uppercase());
    (capital || service.contains('.')) && service.split('.').all(is_name) && is_name(method)
}

/// An identifier of protobuf.
fn is_name(text: &str) -> bool {
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    text.as_bytes().first().is_some_and(first)
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
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

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}
