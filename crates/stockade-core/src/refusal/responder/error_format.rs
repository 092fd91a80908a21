//! Which language of refusals a client speaks.

use http::{HeaderMap, HeaderName, header::ACCEPT, request::Parts};

/// How a refusal is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorFormat {
    /// `{"error":{"message","type","param","code"}}`, as OpenAI's clients read it.
    #[default]
    OpenAi,
    /// `application/problem+json` (RFC 9457).
    Problem,
    /// `{"type":"error","error":{"type","message"},"request_id"}`, as Anthropic's clients read it.
    Anthropic,
    /// A trailers-only response with `grpc-status`, in this content type.
    Grpc(&'static str),
}

impl ErrorFormat {
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
        } else if is_anthropic_request(head.uri.path(), &head.headers) {
            Self::Anthropic
        } else {
            default
        }
    }
}

static ANTHROPIC_VERSION: HeaderName = HeaderName::from_static("anthropic-version");

/// Whether the client of this path, with these headers, speaks Anthropic's API: its SDKs send the
/// version with every request, and no other API has these paths.
pub fn is_anthropic_request(path: &str, headers: &HeaderMap) -> bool {
    let path = path.strip_suffix("/count_tokens").unwrap_or(path);
    path.ends_with("/v1/messages") || headers.contains_key(&ANTHROPIC_VERSION)
}

/// A media type without its parameters.
pub(super) fn essence(value: &[u8]) -> &[u8] {
    let end = value.iter().position(|byte| *byte == b';');
    value[..end.unwrap_or(value.len())].trim_ascii()
}
