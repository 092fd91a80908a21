//! An inner service that checks how it is called.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body, Frame};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// The response of a [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    /// Two data frames and trailers.
    Complete,
    /// One data frame, then an error.
    BodyFails,
    /// An error instead of a response.
    Fails,
}

/// A service that handles one request at a time and panics if it is called without having
/// been polled ready. Each of its steps is pending once.
///
/// ```
/// use http::Request;
/// use http_body_util::BodyExt;
/// use stockade_testkit::{Probe, Script};
/// use tower::ServiceExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let probe = Probe::new(Script::Complete);
/// let response = probe.clone().oneshot(Request::new(())).await.unwrap();
/// assert!(response.into_body().collect().await.unwrap().trailers().is_some());
/// assert_eq!(probe.in_flight(), 0);
/// # }
/// ```
#[derive(Debug)]
pub struct Probe {
    script: Script,
    slots: Arc<Semaphore>,
    alive: Arc<AtomicUsize>,
    ready: Option<OwnedSemaphorePermit>,
    waiting: Option<Waiting>,
}

struct Waiting(Pin<Box<dyn Future<Output = OwnedSemaphorePermit> + Send + Sync>>);

impl Probe {
    /// Creates a probe with this response.
    pub fn new(script: Script) -> Self {
        Self {
            script,
            slots: Arc::new(Semaphore::new(1)),
            alive: Arc::default(),
            ready: None,
            waiting: None,
        }
    }

    /// The number of requests whose future or body has not been dropped yet.
    pub fn in_flight(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

impl Clone for Probe {
    /// Clones the probe as tower requires: the clone is not ready even if the original is.
    fn clone(&self) -> Self {
        Self {
            script: self.script,
            slots: Arc::clone(&self.slots),
            alive: Arc::clone(&self.alive),
            ready: None,
            waiting: None,
        }
    }
}

impl Service<Request<()>> for Probe {
    type Response = Response<ProbeBody>;
    type Error = ProbeError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ProbeBody>, ProbeError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProbeError>> {
        if self.ready.is_none() {
            let slots = &self.slots;
            let waiting = self.waiting.get_or_insert_with(|| {
                let slots = Arc::clone(slots);
                Waiting(Box::pin(async move {
                    slots
                        .acquire_owned()
                        .await
                        .expect("the semaphore is never closed")
                }))
            });
            let permit = std::task::ready!(waiting.0.as_mut().poll(cx));
            self.waiting = None;
            self.ready = Some(permit);
        }
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _request: Request<()>) -> Self::Future {
        let permit = self
            .ready
            .take()
            .expect("called without having been polled ready");
        let script = self.script;
        let alive = Alive::new(&self.alive);
        Box::pin(async move {
            let _permit = permit;
            yield_once().await;
            match script {
                Script::Fails => Err(ProbeError),
                Script::Complete | Script::BodyFails => {
                    Ok(Response::new(ProbeBody::new(script, alive)))
                }
            }
        })
    }
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|cx| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Counts the values that are alive.
#[derive(Debug)]
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The body of a [`Probe`]'s response.
#[derive(Debug)]
pub struct ProbeBody {
    frames: VecDeque<Result<Frame<Bytes>, ProbeError>>,
    pause: bool,
    _alive: Alive,
}

impl ProbeBody {
    /// The data of a complete body.
    pub const DATA: [&'static str; 2] = ["first ", "second"];

    fn new(script: Script, alive: Alive) -> Self {
        let data = |text| Ok(Frame::data(Bytes::from_static(text)));
        let mut frames = VecDeque::from([data(Self::DATA[0].as_bytes())]);
        if script == Script::BodyFails {
            frames.push_back(Err(ProbeError));
        } else {
            frames.push_back(data(Self::DATA[1].as_bytes()));
            frames.push_back(Ok(Frame::trailers(Self::trailers())));
        }
        Self {
            frames,
            pause: true,
            _alive: alive,
        }
    }

    /// The trailers of a complete body.
    pub fn trailers() -> HeaderMap {
        HeaderMap::from_iter([(
            http::HeaderName::from_static("grpc-status"),
            HeaderValue::from_static("0"),
        )])
    }
}

impl Body for ProbeBody {
    type Data = Bytes;
    type Error = ProbeError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ProbeError>>> {
        self.pause = !self.pause;
        if !self.pause {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(self.frames.pop_front())
    }
}

/// The error of a [`Probe`]: a type that no layer knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeError;

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the probe failed, as its script says")
    }
}

impl Error for ProbeError {}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Waiting")
    }
}
