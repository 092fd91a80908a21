//! One stack, and a request's way through it.

use std::{
    convert::Infallible,
    fmt,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::Service;

use crate::WholeFence;

/// Something that can be run again and again.
pub struct Stack {
    name: &'static str,
    run: Box<dyn Fn() + Send>,
    fence: Option<Arc<WholeFence>>,
}

impl Stack {
    /// Runs a closure.
    pub fn of<T>(name: &'static str, run: impl Fn() -> T + Send + 'static) -> Self {
        Self {
            name,
            run: Box::new(move || {
                black_box(run());
            }),
            fence: None,
        }
    }

    /// Sends a new request through a clone of the service, and expects this status.
    pub fn service<S, B>(
        name: &'static str,
        service: S,
        request: impl Fn() -> Request<Full<Bytes>> + Send + 'static,
        status: StatusCode,
    ) -> Self
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + 'static,
        B: Body,
    {
        Self::of(name, move || {
            let answer = exchange(service.clone(), request());
            assert_eq!(answer, status, "{name} answers wrongly");
        })
    }

    /// Keeps the fence whose service this is.
    pub(crate) fn behind(mut self, fence: Arc<WholeFence>) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Records that its fence has lost.
    pub fn lost_records(&self) -> u64 {
        self.fence.as_ref().map_or(0, |fence| fence.lost_records())
    }

    /// What it is called in tables.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it once.
    pub fn run(&self) {
        (self.run)();
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stack").field(&self.name).finish()
    }
}

/// The status of the answer, whose body is read to its end as a server would.
pub fn exchange<S, B>(mut service: S, request: Request<Full<Bytes>>) -> StatusCode
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: Body,
{
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = service.poll_ready(&mut cx) else {
        unreachable!("every stack is ready at once");
    };
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut cx) else {
        unreachable!("every stack answers at once");
    };
    let status = response.status();
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => drop(black_box(frame)),
            Poll::Ready(None) => break,
            Poll::Pending => unreachable!("every body is there at once"),
        }
    }
    status
}
