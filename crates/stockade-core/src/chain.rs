//! Guards one after the other, as one.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::request::Parts;
use pin_project_lite::pin_project;

use crate::{GuardLayer, Guards, Step, guards::Sealed};

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
/// # use http::request::Parts;
/// # use stockade_core::{Check, Guard, Never, Refusal, RefusalKind};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # struct WantsTeapot;
/// # impl Guard for WantsTeapot {
/// #     const NAME: &'static str = "teapot";
/// #     type Pass = ();
/// #     type Hold = ();
/// #     type Wait = Never<()>;
/// #     fn check(&self, head: &Parts) -> Check<(), Never<()>> {
/// #         // The guard before this one has already let the request in.
/// #         assert!(RequestContext::of(&head.extensions).is_some());
/// #         match head.headers.contains_key("x-teapot") {
/// #             true => Check::Pass(()),
/// #             false => Check::Refuse(Refusal::new(RefusalKind::Forbidden, "no teapot")),
/// #         }
/// #     }
/// #     fn admit(&self, _: (), _: &mut Parts) {}
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

impl<A, B> Sealed for Chain<A, B> {}

impl<A, B> Guards for Chain<A, B>
where
    A: Guards,
    B: Guards,
{
    type Holds = (A::Holds, B::Holds);
    type Kept = Box<Self::Holds>;
    type Wait = ChainWait<A::Wait, B::Wait>;

    #[inline]
    fn begin(&self, head: &mut Parts, (outer, inner): &mut Self::Holds) -> Step<Self::Wait> {
        match self.outer.begin(head, outer) {
            Step::Pass => self.go_on(head, inner),
            Step::Refuse(refused) => Step::Refuse(refused),
            Step::Wait(wait) => Step::Wait(ChainWait::outer(wait)),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut Self::Wait>,
        cx: &mut Context<'_>,
        head: &mut Parts,
        (outer, inner): &mut Self::Holds,
    ) -> Poll<Step<Self::Wait>> {
        Poll::Ready(match wait.project().place.project() {
            PlaceProj::Outer { wait } => match ready!(self.outer.resume(wait, cx, head, outer)) {
                Step::Pass => self.go_on(head, inner),
                Step::Refuse(refused) => Step::Refuse(refused),
                Step::Wait(wait) => Step::Wait(ChainWait::outer(wait)),
            },
            PlaceProj::Inner { wait } => within(ready!(self.inner.resume(wait, cx, head, inner))),
        })
    }

    fn slots(kept: &mut Self::Kept) -> &mut Self::Holds {
        kept
    }

    fn names(list: &mut fmt::DebugList<'_, '_>) {
        A::names(list);
        B::names(list);
    }
}

impl<A, B> Chain<A, B>
where
    A: Guards,
    B: Guards,
{
    #[inline]
    fn go_on(&self, head: &mut Parts, holds: &mut B::Holds) -> Step<ChainWait<A::Wait, B::Wait>> {
        within(self.inner.begin(head, holds))
    }
}

#[inline]
fn within<A, B>(step: Step<B>) -> Step<ChainWait<A, B>> {
    match step {
        Step::Pass => Step::Pass,
        Step::Refuse(refused) => Step::Refuse(refused),
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
