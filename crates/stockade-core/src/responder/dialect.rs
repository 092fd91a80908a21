//! Which language of refusals a client speaks.

use http::{
    HeaderMap,
    header::{ACCEPT, CONTENT_TYPE},
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
    pub(super) fn negotiate(headers: &HeaderMap, default: Self) -> Self {
        if let Some(grpc) = headers.get(CONTENT_TYPE).and_then(|t| grpc(t.as_bytes())) {
            return Self::Grpc(grpc);
        }
        const PROBLEM: &[u8] = b"application/problem+json";
        let accepts_problem = headers
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

/// The content type to answer a gRPC request with; `None` for any other request.
fn grpc(content_type: &[u8]) -> Option<&'static str> {
    // Most requests are ruled out by their first bytes.
    const BEGINNING: &[u8] = b"application/grpc";
    let beginning = content_type.trim_ascii_start().get(..BEGINNING.len())?;
    if !beginning.eq_ignore_ascii_case(BEGINNING) {
        return None;
    }
    let base = essence(content_type);
    let base = base.split(|byte| *byte == b'+').next().unwrap_or(base);
    [
        "application/grpc",
        "application/grpc-web",
        "application/grpc-web-text",
    ]
    .into_iter()
    .find(|grpc| base.eq_ignore_ascii_case(grpc.as_bytes()))
}

/// A media type without its parameters.
fn essence(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}
