//! Ends the wait for a body that is too slow.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::read_timeout::ReadTimeout;

/// Ends the wait for a body that is too slow. Nothing is set until there is a wait.
pub(crate) struct ReadTimer {
    timeout: ReadTimeout,
    armed: Option<Armed>,
}

struct Armed {
    began: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl ReadTimer {
    pub(crate) fn new(timeout: ReadTimeout) -> Self {
        let armed = None;
        Self { timeout, armed }
    }

    /// Ready with the cause when a body of so many bytes is late.
    pub(crate) fn poll_expired(
        &mut self,
        cx: &mut Context<'_>,
        bytes: usize,
    ) -> Poll<&'static str> {
        let (due, cause) = self.timeout.due(bytes as u64);
        let armed = self.armed.get_or_insert_with(|| {
            let began = Instant::now();
            let sleep = Box::pin(sleep_until(began + due));
            Armed { began, sleep }
        });
        let due = armed.began + due;
        let sleep = &mut armed.sleep;
        // Bytes that have come in since it was set may have bought time.
        while sleep.deadline() < due {
            ready!(sleep.as_mut().poll(cx));
            sleep.as_mut().reset(due);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(cause)
    }
}
