//! The keeper of holds.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use crate::guard::{HookStack, Outcome};

/// Sees to it that holds hear their end once, also when they are dropped.
#[derive(Debug)]
pub(crate) struct HookGuard<H>
where
    H: HookStack,
{
    holds: Option<H>,
    /// What it means when this is dropped.
    dropped: Outcome,
    complete: bool,
}

impl<H> HookGuard<H>
where
    H: HookStack,
{
    /// Empty slots. It begins with a run of guards and of the inner service.
    pub(crate) fn new() -> Self {
        Self {
            holds: Some(H::default()),
            dropped: Outcome::Panicked,
            complete: false,
        }
    }

    /// Nothing to keep.
    pub(crate) fn none() -> Self {
        Self {
            holds: None,
            dropped: Outcome::Dropped,
            complete: false,
        }
    }

    /// The slots, for guards to fill.
    pub(crate) fn hooks(&mut self) -> &mut H {
        self.holds.get_or_insert_default()
    }

    /// Code of guards or of the inner service runs now: a drop in the meantime is its panic.
    pub(crate) fn run(&mut self) {
        self.dropped = Outcome::Panicked;
    }

    /// It has come back.
    pub(crate) fn rest(&mut self) {
        self.dropped = match self.complete {
            true => Outcome::Completed,
            false => Outcome::Dropped,
        };
    }

    /// All bytes have been handed to the server, which need not ask for more.
    pub(crate) fn complete(&mut self) {
        self.complete = true;
        self.rest();
    }

    pub(crate) fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.run();
        if let Some(holds) = &mut self.holds {
            holds.on_response(status, headers);
            if !H::UNTIL_BODY_END {
                self.holds = None;
            }
        }
        self.rest();
    }

    pub(crate) fn data(&mut self, data: &Bytes, last: bool) {
        self.run();
        if let Some(holds) = &mut self.holds {
            holds.on_data(data, last);
        }
        self.rest();
    }

    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        self.run();
        if let Some(holds) = &mut self.holds {
            holds.on_trailers(trailers);
        }
        self.rest();
    }

    pub(crate) fn end(&mut self, end: Outcome) {
        if let Some(mut holds) = self.holds.take() {
            holds.on_end(end);
        }
    }

    /// Moves the hooks to their next keeper, which then has to end them.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            holds: self.holds.take(),
            ..Self::none()
        }
    }
}

impl<H> Drop for HookGuard<H>
where
    H: HookStack,
{
    fn drop(&mut self) {
        self.end(self.dropped);
    }
}
