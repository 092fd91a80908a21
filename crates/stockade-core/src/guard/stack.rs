//! What the driver runs.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use super::{check_log, wait::replace_by_clone};
use crate::{
    guard::{
        Bodies, BodyGuard, Chain, Check, ExceptProbes, Guard, Head, HookStack, TakeReady, Wait,
    },
    refusal::Refusal,
};

/// What a [`GuardLayer`](crate::guard::GuardLayer) runs: a [`Guard`], a [`BodyGuard`] in
/// [`Bodies`], or a [`Chain`] of them.
///
/// Implemented for these only; implement [`Guard`] or [`BodyGuard`] instead.
pub trait GuardStack: Sealed + Send + Sync + 'static {
    /// What all of them keep until the response body has ended.
    type Hooks: HookStack;

    /// How that is carried along: what one guard keeps as it is, what several keep in one
    /// box, so that what travels from layer to layer stays small.
    type Carried: HookStack;

    /// What is carried along.
    fn hooks(kept: &mut Self::Carried) -> &mut Self::Hooks;

    /// Writes the guards' names, in their order.
    fn names(&self, list: &mut fmt::DebugList<'_, '_>);

    /// These guards, then `inner` for the requests that they admit.
    ///
    /// One layer of a chain does what a layer each would do, in the same order, but takes
    /// the request apart once and has one future and one body.
    fn then<G>(self, inner: G) -> Chain<Self, G>
    where
        Self: Sized,
        G: GuardStack,
    {
        Chain::new(self, inner)
    }

    /// These guards, for all requests but [probes](Head::is_probe), which pass them unseen.
    fn except_probes(self) -> ExceptProbes<Self>
    where
        Self: Sized,
    {
        ExceptProbes::new(self)
    }
}

/// [`GuardStack`] of requests whose bodies are `B`s.
pub trait RunGuards<B>: GuardStack {
    /// The bodies that the inner service gets.
    type Body;

    /// Where a request waits, with its body.
    type Wait;

    /// Shows the request to one guard after the other, until one ends it or has to wait.
    ///
    /// What those keep that have let it in is put into their slots.
    fn begin(
        &self,
        head: &mut Head,
        body: B,
        holds: &mut Self::Hooks,
    ) -> Progress<Self::Body, Self::Wait>;

    /// Goes on where the request waits.
    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
        holds: &mut Self::Hooks,
    ) -> Poll<Progress<Self::Body, Self::Wait>>;
}

/// The progress of a request through guards.
#[derive(Debug)]
pub enum Progress<B, W> {
    /// All guards have let it in, with this body.
    Pass(B),
    /// It ends here.
    Refuse(Refused),
    /// It ends here, and this is the answer.
    Answer(Box<Response<Bytes>>),
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

impl<G> GuardStack for G
where
    G: Guard,
{
    type Hooks = Option<G::Hook>;
    type Carried = Self::Hooks;

    fn hooks(kept: &mut Self::Carried) -> &mut Self::Hooks {
        kept
    }

    fn names(&self, list: &mut fmt::DebugList<'_, '_>) {
        list.entry(&self.name());
    }
}

impl<G, B> RunGuards<B> for G
where
    G: Guard,
{
    type Body = B;
    type Wait = GuardWait<G::Wait, B>;

    #[inline]
    fn begin(
        &self,
        head: &mut Head,
        body: B,
        hold: &mut Self::Hooks,
    ) -> Progress<B, GuardWait<G::Wait, B>> {
        match check_log::is_used() {
            false => check(self, head, body, hold),
            true => check_log::record(self.name(), head, |head| check(self, head, body, hold)),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
        hold: &mut Self::Hooks,
    ) -> Poll<Progress<B, Self::Wait>> {
        let this = wait.project();
        let progress = match ready!(this.wait.poll_wait(cx)) {
            Ok(pass) => {
                *hold = Some(self.admit(pass, head));
                Progress::Pass(this.body.take().expect("polled after it was ready"))
            }
            Err(refusal) => Progress::Refuse(Refused {
                guard: self.name(),
                refusal,
            }),
        };
        check_log::record_end(head, &progress);
        Poll::Ready(progress)
    }
}

#[inline]
fn check<G, B>(
    guard: &G,
    head: &mut Head,
    body: B,
    hold: &mut Option<G::Hook>,
) -> Progress<B, GuardWait<G::Wait, B>>
where
    G: Guard,
{
    match guard.check(head) {
        Check::Pass(pass) => {
            *hold = Some(guard.admit(pass, head));
            Progress::Pass(body)
        }
        Check::Refuse(refusal) => Progress::Refuse(Refused {
            guard: guard.name(),
            refusal,
        }),
        Check::Answer(response) => Progress::Answer(response),
        Check::Wait(wait) => Progress::Wait(GuardWait {
            wait,
            body: Some(body),
        }),
    }
}

pin_project! {
    /// Where a request waits for a [`Guard`].
    pub struct GuardWait<W, B> {
        #[pin]
        wait: W,
        body: Option<B>,
    }
}

impl<W, B, S> TakeReady<S> for GuardWait<W, B>
where
    W: TakeReady<S>,
{
    fn take_ready(&self, inner: &mut S) -> S {
        self.wait.take_ready(inner)
    }
}

impl<W, B> fmt::Debug for GuardWait<W, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuardWait")
    }
}

impl<G> Sealed for Bodies<G> {}

impl<G> GuardStack for Bodies<G>
where
    G: Send + Sync + 'static,
{
    type Hooks = Option<()>;
    type Carried = Self::Hooks;

    fn hooks(kept: &mut Self::Carried) -> &mut Self::Hooks {
        kept
    }

    fn names(&self, list: &mut fmt::DebugList<'_, '_>) {
        list.entry(&self.name());
    }
}

impl<G, B> RunGuards<B> for Bodies<G>
where
    G: BodyGuard<B>,
{
    type Body = G::Body;
    type Wait = BodyWait<G::Wait>;

    #[inline]
    fn begin(
        &self,
        head: &mut Head,
        body: B,
        _hold: &mut Self::Hooks,
    ) -> Progress<G::Body, Self::Wait> {
        match check_log::is_used() {
            false => check_body(self, head, body),
            true => check_log::record(self.name(), head, |head| check_body(self, head, body)),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
        _hold: &mut Self::Hooks,
    ) -> Poll<Progress<G::Body, Self::Wait>> {
        let progress = match ready!(self.guard().poll_check(wait.project().wait, cx, head)) {
            Ok(body) => Progress::Pass(body),
            Err(refusal) => Progress::Refuse(Refused {
                guard: self.name(),
                refusal,
            }),
        };
        check_log::record_end(head, &progress);
        Poll::Ready(progress)
    }
}

#[inline]
fn check_body<G, B>(
    bodies: &Bodies<G>,
    head: &mut Head,
    body: B,
) -> Progress<G::Body, BodyWait<G::Wait>>
where
    G: BodyGuard<B>,
{
    match bodies.guard().check(head, body) {
        Check::Pass(body) => Progress::Pass(body),
        Check::Refuse(refusal) => Progress::Refuse(Refused {
            guard: bodies.name(),
            refusal,
        }),
        Check::Answer(response) => Progress::Answer(response),
        Check::Wait(wait) => Progress::Wait(BodyWait { wait }),
    }
}

pin_project! {
    /// Where a request waits for a [`BodyGuard`].
    pub struct BodyWait<W> {
        #[pin]
        wait: W,
    }
}

impl<W, S> TakeReady<S> for BodyWait<W>
where
    S: Clone,
{
    fn take_ready(&self, inner: &mut S) -> S {
        replace_by_clone(inner)
    }
}

impl<W> fmt::Debug for BodyWait<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BodyWait")
    }
}

/// Shows the names of guards.
pub(crate) struct Names<'a, G>(pub(crate) &'a G);

impl<G> fmt::Debug for Names<'_, G>
where
    G: GuardStack,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        self.0.names(&mut list);
        list.finish()
    }
}
