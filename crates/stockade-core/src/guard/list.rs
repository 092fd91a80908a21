//! Guards one after the other, as many as a program adds.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::{
    BoxGuard, BoxWait, Guard, GuardStack, GuardWait, Head, HookStack, Outcome, Progress,
    ResponseHook as _, RunGuards, TakeReady,
    boxed::{BoxHook, BoxPass},
    hook, stack,
    wait::replace_by_clone,
};

/// Guards of any types that a request passes one after the other, first to last. An empty
/// list lets each request in.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Method, Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{
///     guard::{BoxGuard, GuardLayer, GuardList, guard_fn},
///     refusal::{Refusal, RefusalKind},
/// };
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let read_only = guard_fn("read_only", |head| match head.method.is_safe() {
///     true => Ok(()),
///     false => Err(Refusal::new(RefusalKind::Forbidden, "this server only reads")),
/// });
/// let mut guards = GuardList::new();
/// guards.push(BoxGuard::new(read_only));
///
/// let service = ServiceBuilder::new()
///     .layer(GuardLayer::new(guards))
///     .service_fn(|_: Request<Full<Bytes>>| async {
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///     });
/// let request = |method| {
///     let mut request = Request::new(Full::default());
///     *request.method_mut() = method;
///     request
/// };
/// let passed = service.clone().oneshot(request(Method::GET)).await.unwrap();
/// assert_eq!(passed.status(), StatusCode::OK);
/// let refused = service.oneshot(request(Method::DELETE)).await.unwrap();
/// assert_eq!(refused.status(), StatusCode::FORBIDDEN);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct GuardList(Vec<BoxGuard>);

impl GuardList {
    /// An empty list.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a guard behind those that are in the list.
    pub fn push(&mut self, guard: BoxGuard) {
        self.0.push(guard);
    }

    /// Runs the guards from this one on.
    fn run<B>(
        &self,
        from: usize,
        head: &mut Head,
        mut body: B,
        hooks: &mut HookList,
    ) -> Progress<B, ListWait<B>> {
        for (at, guard) in self.0.iter().enumerate().skip(from) {
            let mut hook = None;
            match guard.begin(head, body, &mut hook) {
                Progress::Pass(passed) => body = passed,
                Progress::Refuse(refused) => return Progress::Refuse(refused),
                Progress::Answer(response) => return Progress::Answer(response),
                Progress::Wait(wait) => return Progress::Wait(ListWait { at, wait }),
            }
            hooks.0.extend(hook);
        }
        Progress::Pass(body)
    }
}

impl stack::Sealed for GuardList {}

impl GuardStack for GuardList {
    type Hooks = HookList;
    type Carried = HookList;

    fn hooks(kept: &mut HookList) -> &mut HookList {
        kept
    }

    fn names(&self, list: &mut fmt::DebugList<'_, '_>) {
        for guard in &self.0 {
            list.entry(&guard.name());
        }
    }
}

impl<B> RunGuards<B> for GuardList {
    type Body = B;
    type Wait = ListWait<B>;

    #[inline]
    fn begin(&self, head: &mut Head, body: B, hooks: &mut HookList) -> Progress<B, ListWait<B>> {
        match self.0.is_empty() {
            true => Progress::Pass(body),
            false => self.run(0, head, body, hooks),
        }
    }

    fn resume(
        &self,
        wait: Pin<&mut ListWait<B>>,
        cx: &mut Context<'_>,
        head: &mut Head,
        hooks: &mut HookList,
    ) -> Poll<Progress<B, ListWait<B>>> {
        let ListWait { at, wait } = wait.get_mut();
        let guard = self.0.get(*at).expect("the list does not change");
        let mut hook = None;
        let progress = ready!(guard.resume(Pin::new(wait), cx, head, &mut hook));
        hooks.0.extend(hook);
        Poll::Ready(match progress {
            Progress::Pass(body) => self.run(*at + 1, head, body, hooks),
            Progress::Refuse(refused) => Progress::Refuse(refused),
            Progress::Answer(response) => Progress::Answer(response),
            Progress::Wait(wait) => Progress::Wait(ListWait { at: *at, wait }),
        })
    }
}

/// Where a request waits in a [`GuardList`].
pub struct ListWait<B> {
    at: usize,
    wait: GuardWait<BoxWait<BoxPass>, B>,
}

impl<B, S> TakeReady<S> for ListWait<B>
where
    S: Clone,
{
    fn take_ready(&self, inner: &mut S) -> S {
        replace_by_clone(inner)
    }
}

impl<B> fmt::Debug for ListWait<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ListWait")
    }
}

/// The hooks of a [`GuardList`], outermost first.
#[derive(Debug, Default)]
pub struct HookList(Vec<BoxHook>);

impl hook::Sealed for HookList {}

impl HookStack for HookList {
    const UNTIL_BODY_END: bool = true;

    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        for hook in self.0.iter_mut().rev() {
            hook.on_response(status, headers);
        }
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        for hook in self.0.iter_mut().rev() {
            hook.on_data(data, last);
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        for hook in self.0.iter_mut().rev() {
            hook.on_trailers(trailers);
        }
    }

    fn on_end(&mut self, outcome: Outcome) {
        let rest = Rest(&mut self.0);
        while let Some(hook) = rest.0.pop() {
            hook.on_end(outcome);
        }
    }
}

/// Ends the outer hooks, also if the end of an inner one panics.
struct Rest<'a>(&'a mut Vec<BoxHook>);

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        while let Some(hook) = self.0.pop() {
            hook.on_end(Outcome::Panicked);
        }
    }
}
