//! Counts the bytes that are read of a request body.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::Body;
use stockade_core::{
    guard::{BodyGuard, Check, CountedBody, Head},
    refusal::Refusal,
};

/// Counts the bytes that the inner service reads of the request body.
///
/// It is not needed in a chain with a guard that reads bodies, such as those of
/// stockade-body, which reports the number itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyCounter;

/// A request body that counts the bytes read of it.
pub type RequestBody<B> = CountedBody<B>;

impl<B> BodyGuard<B> for BodyCounter
where
    B: Body,
{
    type Body = RequestBody<B>;
    type Wait = Infallible;

    fn check(&self, head: &mut Head, body: B) -> Check<RequestBody<B>, Infallible> {
        // An empty body needs no count.
        let context = (!body.is_end_stream()).then(|| head.context().clone());
        Check::Pass(CountedBody::new(body, context))
    }

    fn poll_check(
        &self,
        wait: Pin<&mut Infallible>,
        _cx: &mut Context<'_>,
        _head: &mut Head,
    ) -> Poll<Result<RequestBody<B>, Refusal>> {
        match *wait {}
    }
}
