//! Counts the bytes of a request's body as they are read.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use http_body::Body;
use stockade_core::{
    context::RequestContext,
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

/// What stands in for the context of a request of which nobody has said who the peer is: it
/// has a name and a count, and its client is none that anybody is shown.
#[derive(Clone, Debug)]
pub(crate) struct StandIn(pub(crate) RequestContext);

impl<B> BodyGuard<B> for BodyCounter
where
    B: Body,
{
    type Body = RequestBody<B>;
    type Wait = Infallible;

    fn check(&self, head: &mut Head, body: B) -> Check<RequestBody<B>, Infallible> {
        let stand_in = || head.extensions.get().map(|StandIn(context)| context);
        let context = match body.is_end_stream() {
            true => None,
            false => head.context().or_else(stand_in).cloned(),
        };
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
