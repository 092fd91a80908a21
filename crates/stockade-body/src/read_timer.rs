//! The timer of a body that is being read.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::read_timeout::ReadTimeout;

/// Fires when a body is too slow. No timer is set before the first wait.
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

    /// Resolves to the limit that was missed, once a body of which `bytes` have arrived is
    /// late.
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
        // Bytes that arrived since the timer was set may have extended it.
        while sleep.deadline() < due {
            ready!(sleep.as_mut().poll(cx));
            sleep.as_mut().reset(due);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(cause)
    }
}
