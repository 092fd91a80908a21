//! Ends the wait for a body that is too slow.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::pace::Pace;

/// Ends the wait for a body that is too slow. Nothing is set until there is a wait.
pub(crate) struct Patience {
    pace: Pace,
    waiting: Option<Waiting>,
}

struct Waiting {
    began: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Patience {
    pub(crate) fn new(pace: Pace) -> Self {
        let waiting = None;
        Self { pace, waiting }
    }

    /// Ready with the cause when a body of so many bytes is late.
    pub(crate) fn poll_late(&mut self, cx: &mut Context<'_>, bytes: usize) -> Poll<&'static str> {
        let (due, cause) = self.pace.due(bytes as u64);
        let waiting = self.waiting.get_or_insert_with(|| {
            let began = Instant::now();
            let sleep = Box::pin(sleep_until(began + due));
            Waiting { began, sleep }
        });
        let due = waiting.began + due;
        let sleep = &mut waiting.sleep;
        // Bytes that have come in since it was set may have bought time.
        while sleep.deadline() < due {
            ready!(sleep.as_mut().poll(cx));
            sleep.as_mut().reset(due);
        }
        ready!(sleep.as_mut().poll(cx));
        Poll::Ready(cause)
    }
}
