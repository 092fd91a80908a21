//! Guards one after the other, as one.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::guard::{GuardLayer, GuardStack, Head, Progress, RunGuards, TakeReady, stack::Sealed};

/// Guards that a request passes one after the other, in one layer; made by
/// [`GuardStack::then`].
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{client::PeerAddr, context::{ContextGuard, RequestContext}, guard::GuardStack};
/// # use stockade_core::{guard::{Check, Guard, Head, NoWait}, refusal::{Refusal, RefusalKind}};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # struct WantsTeapot;
/// # impl Guard for WantsTeapot {
/// #     const NAME: &'static str = "teapot";
/// #     type Pass = ();
/// #     type Hook = ();
/// #     type Wait = NoWait;
/// #     fn check(&self, head: &Head) -> Check<(), NoWait> {
/// #         // The guard before this one has already let the request in.
/// #         assert!(head.context().client().is_some());
/// #         match head.headers.contains_key("x-teapot") {
/// #             true => Check::Pass(()),
/// #             false => Check::Refuse(Refusal::new(RefusalKind::Forbidden, "no teapot")),
/// #         }
/// #     }
/// #     fn admit(&self, _: (), _: &mut Head) {}
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = ServiceBuilder::new()
///     .layer(ContextGuard::new().then(WantsTeapot).into_layer())
///     .service_fn(|_: Request<Full<Bytes>>| async {
///         Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("tea"))))
///     });
///
/// let request = || Request::builder().extension(PeerAddr::UnixSocket);
/// let with = request().header("x-teapot", "1").body(Full::default()).unwrap();
/// assert_eq!(service.clone().oneshot(with).await.unwrap().status(), StatusCode::OK);
///
/// let without = request().body(Full::default()).unwrap();
/// let refused = service.oneshot(without).await.unwrap();
/// assert_eq!(refused.status(), StatusCode::FORBIDDEN);
/// // What the outer guard does to responses, it does to refusals of inner ones.
/// assert!(refused.headers().contains_key("x-request-id"));
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Chain<A, B> {
    outer: A,
    inner: B,
}

impl<A, B> Chain<A, B> {
    pub(crate) fn new(outer: A, inner: B) -> Self {
        Self { outer, inner }
    }

    /// The tower layer of these guards; [`GuardLayer::with_responder`] takes a responder too.
    pub fn into_layer(self) -> GuardLayer<Self>
    where
        Self: GuardStack,
    {
        GuardLayer::new(self)
    }
}

impl<A, C> Sealed for Chain<A, C> {}

impl<A, C> GuardStack for Chain<A, C>
where
    A: GuardStack,
    C: GuardStack,
{
    type Hooks = (A::Hooks, C::Hooks);
    type Carried = Box<Self::Hooks>;

    fn hooks(kept: &mut Self::Carried) -> &mut Self::Hooks {
        kept
    }

    fn names(&self, list: &mut fmt::DebugList<'_, '_>) {
        self.outer.names(list);
        self.inner.names(list);
    }
}

impl<A, C, B> RunGuards<B> for Chain<A, C>
where
    A: RunGuards<B>,
    C: RunGuards<A::Body>,
{
    type Body = C::Body;
    type Wait = ChainWait<A::Wait, C::Wait>;

    #[inline]
    fn begin(
        &self,
        head: &mut Head,
        body: B,
        (outer, inner): &mut Self::Hooks,
    ) -> Progress<C::Body, Self::Wait> {
        match self.outer.begin(head, body, outer) {
            Progress::Pass(body) => within(self.inner.begin(head, body, inner)),
            Progress::Refuse(refused) => Progress::Refuse(refused),
            Progress::Answer(response) => Progress::Answer(response),
            Progress::Wait(wait) => Progress::Wait(ChainWait::outer(wait)),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
        (outer, inner): &mut Self::Hooks,
    ) -> Poll<Progress<C::Body, Self::Wait>> {
        Poll::Ready(match wait.project().place.project() {
            PlaceProj::Outer { wait } => match ready!(self.outer.resume(wait, cx, head, outer)) {
                Progress::Pass(body) => within(self.inner.begin(head, body, inner)),
                Progress::Refuse(refused) => Progress::Refuse(refused),
                Progress::Answer(response) => Progress::Answer(response),
                Progress::Wait(wait) => Progress::Wait(ChainWait::outer(wait)),
            },
            PlaceProj::Inner { wait } => within(ready!(self.inner.resume(wait, cx, head, inner))),
        })
    }
}

#[inline]
fn within<A, C, B>(step: Progress<B, C>) -> Progress<B, ChainWait<A, C>> {
    match step {
        Progress::Pass(body) => Progress::Pass(body),
        Progress::Refuse(refused) => Progress::Refuse(refused),
        Progress::Answer(response) => Progress::Answer(response),
        Progress::Wait(wait) => Progress::Wait(ChainWait::inner(wait)),
    }
}

pin_project! {
    /// Where a request waits in a [`Chain`].
    pub struct ChainWait<A, B> {
        #[pin]
        place: Place<A, B>,
    }
}

pin_project! {
    #[project = PlaceProj]
    enum Place<A, B> {
        Outer { #[pin] wait: A },
        Inner { #[pin] wait: B },
    }
}

impl<A, B> ChainWait<A, B> {
    fn outer(wait: A) -> Self {
        Self {
            place: Place::Outer { wait },
        }
    }

    fn inner(wait: B) -> Self {
        Self {
            place: Place::Inner { wait },
        }
    }
}

impl<A, B, S> TakeReady<S> for ChainWait<A, B>
where
    A: TakeReady<S>,
    B: TakeReady<S>,
{
    fn take_ready(&self, inner: &mut S) -> S {
        match &self.place {
            Place::Outer { wait } => wait.take_ready(inner),
            Place::Inner { wait } => wait.take_ready(inner),
        }
    }
}

impl<A, B> fmt::Debug for ChainWait<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainWait")
    }
}
