//! Requests to upstreams.

use std::{
    borrow::Cow,
    convert::Infallible,
    ops::Range,
    pin::Pin,
    task::{Context, Poll},
};

use arrayvec::ArrayVec;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Method};
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use crate::fair_queue::Share;

/// A request to one of the upstreams of a model.
#[derive(Clone, Debug)]
pub struct UpstreamRequest {
    /// The method.
    pub method: Method,
    /// The path below the base URL of the upstream, such as `/chat/completions`.
    pub path: Cow<'static, str>,
    /// Whether the path is relative to the host, and not to the base URL.
    pub at_root: bool,
    /// Headers that the caller has chosen to send. Credentials and headers of the connection are
    /// removed; `Host`, `Content-Length`, `Accept-Encoding: identity` and the upstream's own
    /// key are added.
    pub headers: HeaderMap,
    /// The body.
    pub body: RequestBody,
    /// Requests wait in turns between the keys of these shares, such as one for each client.
    pub share: Share<u64>,
    /// Whether the response starts before all of it was generated, so that
    /// [`first_byte_timeout`](super::GroupSettings::first_byte_timeout) applies.
    pub streaming: bool,
    /// When the whole exchange ends.
    pub deadline: Instant,
}

/// The body of a request; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RequestBody {
    /// The bytes that are sent.
    pub bytes: Bytes,
    /// Where the JSON string with the name of the model stands, including its quotes. An
    /// upstream with a name of its own for the model gets that name in its place.
    pub model: Option<Range<usize>>,
    /// Bytes in place of another range, which does not overlap that of the model.
    pub patch: Option<(Range<usize>, Bytes)>,
}

impl RequestBody {
    /// The body with `name`, a JSON string, in place of the name of the model, and with the
    /// patch. The rest of the body is shared. `None` if a range is outside the body, or they
    /// overlap.
    pub(super) fn with_model(&self, name: Option<&Bytes>) -> Option<OutgoingBody> {
        let model = self.model.clone().zip(name.cloned());
        let mut changes = [model, self.patch.clone()];
        changes.sort_by_key(|change| change.as_ref().map(|(range, _)| range.start));
        let mut slices = ArrayVec::new();
        let mut at = 0;
        for (range, bytes) in changes.into_iter().flatten() {
            let is_after = at <= range.start && self.bytes.get(range.clone()).is_some();
            let before = is_after.then(|| self.bytes.slice(at..range.start))?;
            slices.extend([before, bytes]);
            at = range.end;
        }
        slices.push(self.bytes.slice(at..));
        Some(OutgoingBody(slices))
    }
}

/// A body of a few slices, with a known length.
#[derive(Debug, Default)]
pub(super) struct OutgoingBody(ArrayVec<Bytes, 5>);

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.0.iter_mut().find(|slice| slice.has_remaining());
        Poll::Ready(next.map(|slice| Ok(Frame::data(std::mem::take(slice)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.iter().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let length: usize = self.0.iter().map(Bytes::len).sum();
        SizeHint::with_exact(length as u64)
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Collected};
    use proptest::prelude::*;

    use super::*;

    fn collect(body: OutgoingBody) -> Bytes {
        let collected = futures_util::FutureExt::now_or_never(body.collect());
        collected.unwrap().map(Collected::to_bytes).unwrap()
    }

    #[test]
    fn replaces_exactly_the_name_of_the_model() {
        let body = RequestBody {
            bytes: Bytes::from_static(br#"{"model": "small" , "n":1}"#),
            model: Some(10..17),
            patch: None,
        };
        let name = Bytes::from_static(br#""org/big""#);
        let sent = body.with_model(Some(&name)).unwrap();
        assert_eq!(sent.size_hint().exact(), Some(28));
        assert_eq!(collect(sent), &br#"{"model": "org/big" , "n":1}"#[..]);
        assert_eq!(collect(body.with_model(None).unwrap()), body.bytes);
    }

    #[test]
    fn replaces_the_model_and_the_patch_in_their_order() {
        let bytes = Bytes::from_static(br#"{"a":1,"model":"small","b":2}"#);
        let name = Bytes::from_static(br#""big""#);
        for (patch, expected) in [
            (1..1, r#"{"x":0,"a":1,"model":"big","b":2}"#),
            (23..28, r#"{"a":1,"model":"big","x":0,}"#),
        ] {
            let body = RequestBody {
                bytes: bytes.clone(),
                model: Some(15..22),
                patch: Some((patch, Bytes::from_static(br#""x":0,"#))),
            };
            assert_eq!(collect(body.with_model(Some(&name)).unwrap()), expected);
        }
        let overlapping = RequestBody {
            bytes,
            model: Some(15..22),
            patch: Some((20..23, Bytes::new())),
        };
        assert!(overlapping.with_model(Some(&name)).is_none());
    }

    #[test]
    fn shares_the_rest_of_the_body() {
        let bytes = Bytes::from(vec![b'x'; 100]);
        let body = RequestBody {
            bytes: bytes.clone(),
            model: Some(10..20),
            patch: None,
        };
        let OutgoingBody(slices) = body.with_model(Some(&bytes)).unwrap();
        let (before, after) = (&slices[0], &slices[2]);
        assert_eq!(before.as_ptr(), bytes.as_ptr());
        assert_eq!(after.as_ptr(), bytes[20..].as_ptr());
    }

    #[test]
    fn refuses_positions_outside_the_body() {
        let name = Bytes::from_static(b"\"a\"");
        #[expect(clippy::reversed_empty_ranges, reason = "the case under test")]
        for range in [3..9, 9..9, 2..1] {
            let body = RequestBody {
                bytes: Bytes::from_static(b"{}"),
                model: Some(range),
                patch: None,
            };
            assert!(body.with_model(Some(&name)).is_none());
        }
    }

    proptest! {
        #[test]
        fn keeps_all_other_bytes(
            before in ".{0,20}", old in ".{0,20}", new in ".{0,20}", after in ".{0,20}",
        ) {
            let body = RequestBody {
                bytes: format!("{before}{old}{after}").into(),
                model: Some(before.len()..before.len() + old.len()),
                patch: None,
            };
            let sent = body.with_model(Some(&new.clone().into())).unwrap();
            let length = sent.size_hint().exact().unwrap();
            let sent = collect(sent);
            prop_assert_eq!(sent.len() as u64, length);
            prop_assert_eq!(sent, format!("{before}{new}{after}"));
        }
    }
}
