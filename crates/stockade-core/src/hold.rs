//! What a guard keeps while a response is on its way.

use http::{HeaderMap, StatusCode};

/// Kept from the moment a request is let in until its response body has ended.
///
/// A permit only needs its `Drop`; a meter also implements the hooks. Each hook is
/// called at most once, in the order of the methods. Where the inner service fails,
/// panics or is dropped before it answers, only [`end`](Self::end) is called.
pub trait Hold: Sized {
    /// Whether the value lives on past the response head. Where it is `false`, the value
    /// is dropped after [`head`](Self::head), [`end`](Self::end) is not called on a
    /// response, and the body path costs nothing.
    const UNTIL_BODY_END: bool = true;

    /// The response's head, which may still be changed.
    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let _ = (status, headers);
    }

    /// The response's trailers; gRPC says its status here.
    fn trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }

    /// The end of the response.
    fn end(self, end: End) {
        let _ = end;
    }
}

/// What an optional guard holds.
impl<H> Hold for Option<H>
where
    H: Hold,
{
    const UNTIL_BODY_END: bool = H::UNTIL_BODY_END;

    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        if let Some(hold) = self {
            hold.head(status, headers);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(hold) = self {
            hold.trailers(trailers);
        }
    }

    fn end(self, end: End) {
        if let Some(hold) = self {
            hold.end(end);
        }
    }
}

impl Hold for () {
    const UNTIL_BODY_END: bool = false;
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The whole body was handed to the server.
    Completed,
    /// The inner service or its body returned an error.
    Failed,
    /// Dropped on the way: the client left, a timeout struck, or a handler panicked.
    Dropped,
}

/// Sees to it that a hold hears its end once, also when it is dropped.
#[derive(Debug)]
pub(crate) struct Held<H>
where
    H: Hold,
{
    hold: Option<H>,
}

impl<H> Held<H>
where
    H: Hold,
{
    pub(crate) fn new(hold: H) -> Self {
        Self { hold: Some(hold) }
    }

    pub(crate) fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        if let Some(hold) = &mut self.hold {
            hold.head(status, headers);
        }
    }

    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(hold) = &mut self.hold {
            hold.trailers(trailers);
        }
    }

    pub(crate) fn end(&mut self, end: End) {
        if let Some(hold) = self.hold.take() {
            hold.end(end);
        }
    }

    /// Moves the hold to its next keeper, which then owes it the end.
    pub(crate) fn take(&mut self) -> Self {
        Self {
            hold: self.hold.take(),
        }
    }

    /// Lets go without an end, for what was never meant to see the body.
    pub(crate) fn release(&mut self) {
        self.hold = None;
    }
}

impl<H> Drop for Held<H>
where
    H: Hold,
{
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}
