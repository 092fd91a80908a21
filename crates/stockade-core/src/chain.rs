//! Guards one after the other, as one.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;

use crate::{GuardLayer, Guards, Head, Step, Takes, guards::Sealed};

/// Guards that a request passes one after the other, in one layer; made by
/// [`Guards::then`].
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{ContextGuard, Guards, PeerAddr, RequestContext};
/// # use stockade_core::{Check, Guard, Head, Never, Refusal, RefusalKind};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # struct WantsTeapot;
/// # impl Guard for WantsTeapot {
/// #     const NAME: &'static str = "teapot";
/// #     type Pass = ();
/// #     type Hold = ();
/// #     type Wait = Never<()>;
/// #     fn check(&self, head: &Head) -> Check<(), Never<()>> {
/// #         // The guard before this one has already let the request in.
/// #         assert!(head.context().is_some());
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
        Self: Guards,
    {
        GuardLayer::new(self)
    }
}

impl<A, C> Sealed for Chain<A, C> {}

impl<A, C> Guards for Chain<A, C>
where
    A: Guards,
    C: Guards,
{
    type Holds = (A::Holds, C::Holds);
    type Kept = Box<Self::Holds>;

    fn slots(kept: &mut Self::Kept) -> &mut Self::Holds {
        kept
    }

    fn names(&self, list: &mut fmt::DebugList<'_, '_>) {
        self.outer.names(list);
        self.inner.names(list);
    }
}

impl<A, C, B> Takes<B> for Chain<A, C>
where
    A: Takes<B>,
    C: Takes<A::Body>,
{
    type Body = C::Body;
    type Wait = ChainWait<A::Wait, C::Wait>;

    #[inline]
    fn begin(
        &self,
        head: &mut Head,
        body: B,
        (outer, inner): &mut Self::Holds,
    ) -> Step<C::Body, Self::Wait> {
        match self.outer.begin(head, body, outer) {
            Step::Pass(body) => within(self.inner.begin(head, body, inner)),
            Step::Refuse(refused) => Step::Refuse(refused),
            Step::Answer(response) => Step::Answer(response),
            Step::Wait(wait) => Step::Wait(ChainWait::outer(wait)),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Head,
        (outer, inner): &mut Self::Holds,
    ) -> Poll<Step<C::Body, Self::Wait>> {
        Poll::Ready(match wait.project().place.project() {
            PlaceProj::Outer { wait } => match ready!(self.outer.resume(wait, cx, head, outer)) {
                Step::Pass(body) => within(self.inner.begin(head, body, inner)),
                Step::Refuse(refused) => Step::Refuse(refused),
                Step::Answer(response) => Step::Answer(response),
                Step::Wait(wait) => Step::Wait(ChainWait::outer(wait)),
            },
            PlaceProj::Inner { wait } => within(ready!(self.inner.resume(wait, cx, head, inner))),
        })
    }
}

#[inline]
fn within<A, C, B>(step: Step<B, C>) -> Step<B, ChainWait<A, C>> {
    match step {
        Step::Pass(body) => Step::Pass(body),
        Step::Refuse(refused) => Step::Refuse(refused),
        Step::Answer(response) => Step::Answer(response),
        Step::Wait(wait) => Step::Wait(ChainWait::inner(wait)),
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

impl<A, B> fmt::Debug for ChainWait<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChainWait")
    }
}
