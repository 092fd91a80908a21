//! Counts the bytes of a request's body as they are read.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::Body;
use stockade_core::{
    guard::{BodyGuard, Head},
    guard::{Check, CountedBody},
    refusal::Refusal,
};

/// Says how many bytes of the request's body the inner service has read.
///
/// A check that reads bodies itself, such as stockade-body's, says so as well; where it
/// stands in the same chain, this one need not.
#[derive(Clone, Copy, Debug, Default)]
pub struct BodyCounter;

/// A request's body whose bytes are counted as the inner service reads them.
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
