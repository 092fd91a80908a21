//! One stack, and the path of a request through it.

use std::{
    convert::Infallible,
    fmt,
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use tower::Service;

use crate::{WholeFence, json_logs::JsonLogs, timing::cpu_time};

/// The requests that the `instructions` benchmark counts in each stack.
pub const REQUESTS_COUNTED: u32 = 5_000;

/// Something that can be run repeatedly.
pub struct Stack {
    name: &'static str,
    run: Box<dyn Fn() + Send>,
    fence: Option<Arc<WholeFence>>,
    logs: Option<&'static JsonLogs>,
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
            logs: None,
        }
    }

    /// Sends a copy of the request through a clone of the service and expects this status.
    pub fn service<S, B>(
        name: &'static str,
        service: S,
        request: Request<Full<Bytes>>,
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
            let answer = exchange(service.clone(), request.clone());
            assert_eq!(answer, status, "{name} sends an unexpected status");
        })
    }

    /// Keeps the fence that the service belongs to.
    pub(crate) fn behind(mut self, fence: Arc<WholeFence>) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Writes what `tracing` collects while the stack is measured.
    pub(crate) fn logged(mut self) -> Self {
        self.logs = Some(JsonLogs::of_process());
        self
    }

    /// Records and log lines that were dropped. If there are any, not all work was measured.
    pub fn lost(&self) -> u64 {
        let records = self.fence.as_ref().map_or(0, |fence| fence.lost_records());
        records + self.logs.map_or(0, JsonLogs::lost_lines)
    }

    /// The name that the stack is measured under.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs it once.
    pub fn run(&self) {
        (self.run)();
    }

    /// Runs it repeatedly.
    pub fn repeat(&self, runs: u32) {
        self.while_logging(|| (0..runs).for_each(|_| self.run()));
    }

    /// The CPU time of this thread for a number of runs.
    pub fn cpu_time(&self, runs: u32) -> Duration {
        self.while_logging(|| cpu_time(runs, |_| self.run()))
    }

    /// Runs a closure with the log written, for a stack that is logged.
    pub fn while_logging<T>(&self, run: impl FnOnce() -> T) -> T {
        let write = |on| {
            if let Some(logs) = self.logs {
                logs.write(on);
            }
        };
        write(true);
        let value = run();
        write(false);
        value
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stack").field(&self.name).finish()
    }
}

/// The status of the response, whose body is read completely, as a server would.
///
/// # Panics
///
/// If the service or the body is not ready at once.
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
        unreachable!("every stack responds at once");
    };
    let status = response.status();
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        match body.as_mut().poll_frame(&mut cx) {
            Poll::Ready(Some(frame)) => drop(black_box(frame)),
            Poll::Ready(None) => break,
            Poll::Pending => unreachable!("every body is complete"),
        }
    }
    status
}
