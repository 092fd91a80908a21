//! Guards from closures.

use std::{fmt, future::Future, marker::PhantomData};

use super::{Check, Guard, Head, Keep, NoWait};
use crate::refusal::Refusal;

/// A guard from a closure that does not wait.
///
/// What the closure returns is kept until the response has ended: a permit, a timer, or `()`
/// for nothing.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{
///     guard::{Guard, guard_fn},
///     refusal::{Refusal, RefusalKind},
/// };
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() {
///     let wants_tenant = guard_fn("tenant", |head| {
///         match head.headers.contains_key("x-tenant") {
///             true => Ok(()),
///             false => Err(Refusal::new(RefusalKind::Invalid, "the header x-tenant is missing")),
///         }
///     });
///     let service = ServiceBuilder::new()
///         .layer(wants_tenant.into_layer())
///         .service_fn(|_: Request<Full<Bytes>>| async {
///             Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
///         });
///
///     let with = Request::builder().header("x-tenant", "a").body(Full::default()).unwrap();
///     assert_eq!(service.clone().oneshot(with).await.unwrap().status(), StatusCode::OK);
///
///     let without = Request::new(Full::default());
///     assert_eq!(service.oneshot(without).await.unwrap().status(), StatusCode::BAD_REQUEST);
/// }
/// ```
pub fn guard_fn<F, T>(name: &'static str, check: F) -> GuardFn<F>
where
    F: Fn(&Head) -> Result<T, Refusal> + Send + Sync + 'static,
    T: Send + 'static,
{
    GuardFn { name, check }
}

/// A guard from a closure that waits: for a lookup, a permit, another service.
///
/// The future must own what it needs, so copy it out of the head before the `async` block. It
/// may be dropped at any await, and must then leave nothing behind. What it returns is kept
/// until the response has ended, as with [`guard_fn`].
///
/// ```
/// use std::{convert::Infallible, sync::Arc};
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{
///     guard::{Guard, async_guard_fn},
///     refusal::{Refusal, RefusalKind},
/// };
/// use tokio::sync::Semaphore;
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() {
///     let gpu = Arc::new(Semaphore::new(1));
///     let permits = Arc::clone(&gpu);
///     let one_at_a_time = async_guard_fn("gpu", move |_head| {
///         let permits = Arc::clone(&permits);
///         async move {
///             let closed = |_| Refusal::new(RefusalKind::Unavailable, "the server is stopping");
///             permits.acquire_owned().await.map_err(closed)
///         }
///     });
///     let service = ServiceBuilder::new()
///         .layer(one_at_a_time.into_layer())
///         .service_fn(|_: Request<Full<Bytes>>| async {
///             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("done"))))
///         });
///
///     let response = service.clone().oneshot(Request::default()).await.unwrap();
///     // The permit is held until the body has ended or is dropped.
///     assert_eq!(gpu.available_permits(), 0);
///     drop(response);
///     assert_eq!(gpu.available_permits(), 1);
///
///     gpu.close();
///     let refused = service.oneshot(Request::default()).await.unwrap();
///     assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
/// }
/// ```
pub fn async_guard_fn<F, Fut, T>(name: &'static str, check: F) -> AsyncGuardFn<F, Fut>
where
    F: Fn(&Head) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Refusal>> + Send + 'static,
    T: Send + 'static,
{
    AsyncGuardFn {
        name,
        check,
        future: PhantomData,
    }
}

/// A guard from a closure; made by [`guard_fn`].
#[derive(Clone)]
pub struct GuardFn<F> {
    name: &'static str,
    check: F,
}

impl<F, T> Guard for GuardFn<F>
where
    F: Fn(&Head) -> Result<T, Refusal> + Send + Sync + 'static,
    T: Send + 'static,
{
    const NAME: &'static str = "guard_fn";
    type Pass = T;
    type Hook = Keep<T>;
    type Wait = NoWait;

    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, head: &Head) -> Check<T, NoWait> {
        match (self.check)(head) {
            Ok(kept) => Check::Pass(kept),
            Err(refusal) => Check::Refuse(refusal),
        }
    }

    fn admit(&self, kept: T, _head: &mut Head) -> Keep<T> {
        Keep::new(kept)
    }
}

impl<F> fmt::Debug for GuardFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GuardFn").field(&self.name).finish()
    }
}

/// A guard from a closure that waits; made by [`async_guard_fn`].
pub struct AsyncGuardFn<F, Fut> {
    name: &'static str,
    check: F,
    future: PhantomData<fn() -> Fut>,
}

impl<F, Fut, T> Guard for AsyncGuardFn<F, Fut>
where
    F: Fn(&Head) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<T, Refusal>> + Send + 'static,
    T: Send + 'static,
{
    const NAME: &'static str = "async_guard_fn";
    type Pass = T;
    type Hook = Keep<T>;
    type Wait = Fut;

    fn name(&self) -> &'static str {
        self.name
    }

    fn check(&self, head: &Head) -> Check<T, Fut> {
        Check::Wait((self.check)(head))
    }

    fn admit(&self, kept: T, _head: &mut Head) -> Keep<T> {
        Keep::new(kept)
    }
}

impl<F, Fut> Clone for AsyncGuardFn<F, Fut>
where
    F: Clone,
{
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            check: self.check.clone(),
            future: PhantomData,
        }
    }
}

impl<F, Fut> fmt::Debug for AsyncGuardFn<F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AsyncGuardFn").field(&self.name).finish()
    }
}
