//! One guard or several, as the driver runs them.

use std::{
    fmt,
    future::Future,
    marker::PhantomData,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::request::Parts;

use crate::{Chain, Check, Guard, Holds, Refusal};

/// What a [`GuardLayer`](crate::GuardLayer) runs: a [`Guard`], or a [`Chain`] of them.
///
/// Implemented for these two only; a layer of one's own is a [`Guard`].
pub trait Guards: Sealed + Send + Sync + 'static {
    /// What all of them keep until the response body has ended.
    type Holds: Holds;

    /// How that is carried along: what one guard keeps as it is, what several keep in one
    /// box, so that what travels from layer to layer stays small.
    type Kept: Holds;

    /// Where a request waits.
    type Wait;

    /// Shows the request to one guard after the other, until one refuses it or has to wait.
    ///
    /// What those keep that have let it in is put into their slots.
    fn begin(&self, head: &mut Parts, holds: &mut Self::Holds) -> Step<Self::Wait>;

    /// Goes on where the request waits.
    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Parts,
        holds: &mut Self::Holds,
    ) -> Poll<Step<Self::Wait>>;

    /// What is carried along.
    fn slots(kept: &mut Self::Kept) -> &mut Self::Holds;

    /// Writes the guards' names, in their order.
    fn names(list: &mut fmt::DebugList<'_, '_>);

    /// These guards, and `inner` for the requests that they have let in.
    ///
    /// One layer of a chain does what a layer each would do, in the same order, but takes
    /// the request apart once and has one future and one body.
    fn then<G>(self, inner: G) -> Chain<Self, G>
    where
        Self: Sized,
        G: Guards,
    {
        Chain::new(self, inner)
    }
}

/// How far a request got.
#[derive(Debug)]
pub enum Step<W> {
    /// All guards have let it in.
    Pass,
    /// It ends here.
    Refuse(Refused),
    /// It has to wait.
    Wait(W),
}

/// Which guard refused a request, and why.
#[derive(Debug)]
pub struct Refused {
    pub(crate) guard: &'static str,
    pub(crate) refusal: Refusal,
}

pub trait Sealed {}

impl<G> Sealed for G where G: Guard {}

impl<G> Guards for G
where
    G: Guard,
{
    type Holds = Option<G::Hold>;
    type Kept = Self::Holds;
    type Wait = G::Wait;

    #[inline]
    fn begin(&self, head: &mut Parts, hold: &mut Self::Holds) -> Step<G::Wait> {
        match self.check(head) {
            Check::Pass(pass) => {
                *hold = Some(self.admit(pass, head));
                Step::Pass
            }
            Check::Refuse(refusal) => refuse::<G, _>(refusal),
            Check::Wait(wait) => Step::Wait(wait),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut G::Wait>,
        cx: &mut Context<'_>,
        head: &mut Parts,
        hold: &mut Self::Holds,
    ) -> Poll<Step<G::Wait>> {
        Poll::Ready(match ready!(wait.poll(cx)) {
            Ok(pass) => {
                *hold = Some(self.admit(pass, head));
                Step::Pass
            }
            Err(refusal) => refuse::<G, _>(refusal),
        })
    }

    fn slots(kept: &mut Self::Kept) -> &mut Self::Holds {
        kept
    }

    fn names(list: &mut fmt::DebugList<'_, '_>) {
        list.entry(&G::NAME);
    }
}

/// Shows the names of guards.
pub(crate) struct Names<G>(PhantomData<fn() -> G>);

impl<G> Names<G> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<G> fmt::Debug for Names<G>
where
    G: Guards,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        G::names(&mut list);
        list.finish()
    }
}

fn refuse<G, W>(refusal: Refusal) -> Step<W>
where
    G: Guard,
{
    Step::Refuse(Refused {
        guard: G::NAME,
        refusal,
    })
}
