//! The headers of W3C Trace Context, in both directions.

use http::{HeaderMap, HeaderName, HeaderValue};
use metrics::counter;
use opentelemetry::{
    Context, SpanId, TraceFlags, TraceId,
    trace::{Link, SpanContext, TraceContextExt, TraceState},
};

use crate::{config::TrustIncoming, relay::trace_headers};

pub(super) const INVALID_TRACEPARENTS: &str = "stockade_invalid_traceparents_total";

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const BAGGAGE: HeaderName = HeaderName::from_static("baggage");

/// The maximum length of `tracestate` in bytes. A longer one is dropped.
const MAX_TRACESTATE: usize = 512;

/// The parent of a span, and its links.
#[derive(Debug, Default)]
pub(super) struct Origin {
    pub(super) parent: Context,
    pub(super) links: Vec<Link>,
}

/// Removes what a client says about its trace, and returns what it is trusted to decide.
pub(super) fn take(headers: &mut HeaderMap, trust: TrustIncoming) -> Origin {
    let client = read(headers);
    for name in [TRACEPARENT, TRACESTATE, BAGGAGE] {
        headers.remove(name);
    }
    match (client, trust) {
        (None, _) | (_, TrustIncoming::Never) => Origin::default(),
        (Some((client, _)), TrustIncoming::Link) => Origin {
            links: vec![Link::with_context(client)],
            ..Origin::default()
        },
        (Some((client, state)), TrustIncoming::Parent) => {
            let client = SpanContext::new(
                client.trace_id(),
                client.span_id(),
                client.trace_flags(),
                true,
                state,
            );
            Origin {
                parent: Context::new().with_remote_span_context(client),
                ..Origin::default()
            }
        }
    }
}

/// Makes a span the parent of what an upstream records. The relay sends these headers.
pub(super) fn insert(headers: &mut HeaderMap, span: &SpanContext) {
    let parent = format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags().to_u8()
    );
    if let Ok(parent) = HeaderValue::try_from(parent) {
        headers.insert(TRACEPARENT, parent);
    }
    let state = span.trace_state().header();
    if !state.is_empty()
        && let Ok(state) = HeaderValue::try_from(state)
    {
        headers.insert(TRACESTATE, state);
    }
}

/// The span of a client; `None` without a valid `traceparent`. A malformed one is counted.
fn read(headers: &HeaderMap) -> Option<(SpanContext, TraceState)> {
    if !headers.contains_key(TRACEPARENT) {
        return None;
    }
    let is_repeated = headers.get_all(TRACEPARENT).iter().nth(1).is_some();
    let valid = trace_headers(headers);
    let span = valid.get(TRACEPARENT).filter(|_| !is_repeated);
    let span = span.and_then(|parent| parse(parent.to_str().ok()?));
    if span.is_none() {
        counter!(INVALID_TRACEPARENTS).increment(1);
    }
    Some((span?, state(&valid)))
}

/// Parses a valid `traceparent`. Of its flags, only `sampled` is kept.
fn parse(parent: &str) -> Option<SpanContext> {
    let mut fields = parent.split('-').skip(1);
    let trace = TraceId::from_hex(fields.next()?).ok()?;
    let span = SpanId::from_hex(fields.next()?).ok()?;
    let flags = u8::from_str_radix(fields.next()?, 16).ok()?;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    Some(SpanContext::new(
        trace,
        span,
        flags,
        true,
        TraceState::default(),
    ))
}

fn state(headers: &HeaderMap) -> TraceState {
    let values = headers.get_all(TRACESTATE).iter();
    let values: Option<Vec<_>> = values.map(|value| value.to_str().ok()).collect();
    let state = values.unwrap_or_default().join(",");
    match state.len() <= MAX_TRACESTATE {
        true => state.parse().unwrap_or_default(),
        false => TraceState::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn client(headers: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::try_from(*value).unwrap());
        }
        map
    }

    #[test]
    fn a_client_decides_as_much_as_it_is_trusted() {
        let headers = [
            ("traceparent", PARENT),
            ("tracestate", "a=1,b=2"),
            ("baggage", "user=root"),
        ];
        for (trust, is_parent, links) in [
            (TrustIncoming::Never, false, 0),
            (TrustIncoming::Link, false, 1),
            (TrustIncoming::Parent, true, 0),
        ] {
            let mut headers = client(&headers);
            let origin = take(&mut headers, trust);
            assert!(headers.is_empty(), "{headers:?}");
            let span = origin.parent.span();
            let parent = span.span_context();
            assert_eq!(parent.is_valid(), is_parent, "{trust:?}");
            assert_eq!(parent.is_sampled(), is_parent, "{trust:?}");
            assert_eq!(origin.links.len(), links, "{trust:?}");
            if is_parent {
                assert_eq!(parent.trace_state().header(), "a=1,b=2");
            }
        }
    }

    #[test]
    fn malformed_headers_are_removed_and_ignored() {
        let long = format!("a={}", "x".repeat(MAX_TRACESTATE));
        for (headers, is_parent) in [
            (vec![("traceparent", "00-1-2-01")], false),
            (
                vec![("traceparent", PARENT), ("traceparent", PARENT)],
                false,
            ),
            (vec![("tracestate", "a=1")], false),
            (vec![("traceparent", PARENT), ("tracestate", "a")], true),
            (vec![("traceparent", PARENT), ("tracestate", &long)], true),
        ] {
            let mut headers = client(&headers);
            let origin = take(&mut headers, TrustIncoming::Parent);
            assert!(headers.is_empty(), "{headers:?}");
            let span = origin.parent.span();
            assert_eq!(span.span_context().is_valid(), is_parent);
            assert_eq!(span.span_context().trace_state().header(), "");
        }
    }

    #[test]
    fn an_upstream_gets_the_span_of_the_server() {
        let mut headers = client(&[("traceparent", PARENT), ("tracestate", "a=1")]);
        let origin = take(&mut headers, TrustIncoming::Parent);
        insert(&mut headers, origin.parent.span().span_context());
        assert_eq!(headers["traceparent"], PARENT);
        assert_eq!(headers["tracestate"], "a=1");
    }
}
