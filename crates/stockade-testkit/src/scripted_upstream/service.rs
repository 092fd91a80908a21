//! Plays an answer.

use std::{
    fmt, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::{
    Answer, Counted, Shared, Step,
    connection::ResetSwitch,
    received::{Attention, Record},
};

/// The script closes the connection, or refuses a stream.
#[derive(Debug, Default)]
pub(super) struct Closed(Option<h2::Error>);

impl Closed {
    fn refused() -> Self {
        Self(Some(h2::Reason::REFUSED_STREAM.into()))
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed by the script")
    }
}

impl std::error::Error for Closed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.as_ref().map(|reason| reason as _)
    }
}

/// Receives a request and plays its answer.
pub(super) async fn play(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    reset: ResetSwitch,
) -> Result<Response<Playing>, Closed> {
    let (head, body) = request.into_parts();
    let record = Record::new(head);
    let answer = choose(&shared, &record);
    let running = shared.request();
    let mut attention = Attention::new(Arc::clone(&record));
    let body = body.collect().await.map_err(|_| Closed::default())?;
    record.set_body(body.to_bytes());
    for step in answer.before_head {
        match step {
            // Sleeps: simulates a slow upstream.
            Step::Wait(time) => sleep(time).await,
            Step::Stall => std::future::pending().await,
            Step::Close => {
                attention.end();
                return Err(Closed::default());
            }
            Step::Refuse => {
                attention.end();
                return Err(Closed::refused());
            }
            Step::Reset => {
                attention.end();
                reset.set();
                return Err(Closed::default());
            }
            Step::Data(_) | Step::Endless(_) => panic!("a chunk before the head"),
        }
    }
    let mut response = Response::new(Playing {
        steps: answer.body.into_iter(),
        current: None,
        waiting: None,
        flush: false,
        attention,
        reset,
        _running: running,
    });
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    Ok(response)
}

/// The answer of the script; requests to paths with an answer of their own are not recorded.
fn choose(shared: &Shared, record: &Arc<Record>) -> Answer {
    let mut script = shared.script();
    if let Some(answer) = script.paths.get(record.path()) {
        let answer = answer.clone();
        *script
            .path_requests
            .entry(record.path().to_owned())
            .or_default() += 1;
        return answer;
    }
    shared.received().push(Arc::clone(record));
    let next = script.next.pop_front();
    next.unwrap_or_else(|| script.always.clone())
}

/// The body of an answer.
pub(super) struct Playing {
    steps: std::vec::IntoIter<Step>,
    current: Option<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Return once, so that a chunk is sent before the next one.
    flush: bool,
    attention: Attention,
    reset: ResetSwitch,
    _running: Counted,
}

impl Body for Playing {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if mem::take(&mut self.flush) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(cx));
                self.waiting = None;
            }
            let step = self.current.take().or_else(|| self.steps.next());
            match step {
                Some(Step::Data(chunk)) => {
                    self.flush = true;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Some(Step::Endless(chunk)) => {
                    self.flush = true;
                    self.current = Some(Step::Endless(chunk.clone()));
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
                Some(Step::Wait(time)) => {
                    // Sleeps: simulates a slow upstream.
                    self.waiting = Some(Box::pin(sleep(time)));
                }
                Some(Step::Stall) => {
                    self.current = Some(Step::Stall);
                    return Poll::Pending;
                }
                Some(step @ (Step::Close | Step::Refuse | Step::Reset)) => {
                    if matches!(step, Step::Reset) {
                        self.reset.set();
                    }
                    self.attention.end();
                    return Poll::Ready(Some(Err(Closed::default())));
                }
                None => {
                    self.attention.end();
                    return Poll::Ready(None);
                }
            }
        }
    }
}
