//! What a guard keeps while a response is on its way.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Kept from the moment a request is admitted until its response body has ended.
///
/// A permit only needs its `Drop`; a meter also implements the hooks. They are called in
/// the order of the methods, [`on_data`](Self::on_data) as often as there is some and each other
/// one at most once. Where the inner service fails, panics or is dropped before it answers,
/// only [`on_end`](Self::on_end) is called.
pub trait ResponseHook: Sized + Send {
    /// Whether the value lives on past the response head. Where it is `false`, the value
    /// is dropped after [`on_response`](Self::on_response), [`on_end`](Self::on_end) is not called on a
    /// response, and the body path costs nothing.
    const UNTIL_BODY_END: bool = true;

    /// The response's head, which may still be changed.
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let _ = (status, headers);
    }

    /// A piece of the response's body; the `last` one, where the body knows that it is.
    fn on_data(&mut self, data: &Bytes, last: bool) {
        let _ = (data, last);
    }

    /// The response's trailers; gRPC says its status here.
    fn on_trailers(&mut self, trailers: &HeaderMap) {
        let _ = trailers;
    }

    /// The end of the response.
    fn on_end(self, end: Outcome) {
        let _ = end;
    }
}

/// What an optional guard holds.
impl<H> ResponseHook for Option<H>
where
    H: ResponseHook,
{
    const UNTIL_BODY_END: bool = H::UNTIL_BODY_END;

    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        if let Some(hold) = self {
            hold.on_response(status, headers);
        }
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        if let Some(hold) = self {
            hold.on_data(data, last);
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        if let Some(hold) = self {
            hold.on_trailers(trailers);
        }
    }

    fn on_end(self, end: Outcome) {
        if let Some(hold) = self {
            hold.on_end(end);
        }
    }
}

impl ResponseHook for () {
    const UNTIL_BODY_END: bool = false;
}

/// How a response ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The whole body was handed to the server.
    Completed,
    /// The inner service or its body returned an error.
    Failed,
    /// The inner service, its body, or a guard panicked.
    Panicked,
    /// Dropped on the way: the client left, or a timeout struck.
    Dropped,
}

/// What a chain of guards holds: a slot for each of them, empty until it has let the
/// request in.
///
/// Inner guards see a response before outer ones, as if each were a layer of its own.
/// Implemented here only.
pub trait HookStack: Default + Sealed {
    /// Whether any of them lives on past the response head.
    const UNTIL_BODY_END: bool;

    /// Shows all of them the head, and drops those that end with it.
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap);

    /// Shows all of them a piece of the body.
    fn on_data(&mut self, data: &Bytes, last: bool);

    /// Shows all of them the trailers.
    fn on_trailers(&mut self, trailers: &HeaderMap);

    /// Ends all of them, and leaves the slots empty.
    fn on_end(&mut self, end: Outcome);
}

pub trait Sealed {}

impl<H> Sealed for Option<H> {}

/// The slot of one guard.
impl<H> HookStack for Option<H>
where
    H: ResponseHook,
{
    const UNTIL_BODY_END: bool = H::UNTIL_BODY_END;

    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        ResponseHook::on_response(self, status, headers);
        if !H::UNTIL_BODY_END {
            *self = None;
        }
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        ResponseHook::on_data(self, data, last);
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        ResponseHook::on_trailers(self, trailers);
    }

    fn on_end(&mut self, end: Outcome) {
        ResponseHook::on_end(self.take(), end);
    }
}

impl<H> Sealed for Box<H> {}

/// The slots of many: moved as one pointer from the future to the body.
impl<H> HookStack for Box<H>
where
    H: HookStack,
{
    const UNTIL_BODY_END: bool = H::UNTIL_BODY_END;

    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        (**self).on_response(status, headers);
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        (**self).on_data(data, last);
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        (**self).on_trailers(trailers);
    }

    fn on_end(&mut self, end: Outcome) {
        (**self).on_end(end);
    }
}

impl<A, B> Sealed for (A, B) {}

/// The slots of the outer and of the inner guards.
impl<A, B> HookStack for (A, B)
where
    A: HookStack,
    B: HookStack,
{
    const UNTIL_BODY_END: bool = A::UNTIL_BODY_END || B::UNTIL_BODY_END;

    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let (outer, inner) = self;
        inner.on_response(status, headers);
        outer.on_response(status, headers);
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        let (outer, inner) = self;
        inner.on_data(data, last);
        outer.on_data(data, last);
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        let (outer, inner) = self;
        inner.on_trailers(trailers);
        outer.on_trailers(trailers);
    }

    fn on_end(&mut self, end: Outcome) {
        let (outer, inner) = self;
        let mut outer = OuterEnd {
            holds: outer,
            end: Outcome::Panicked,
        };
        inner.on_end(end);
        outer.end = end;
    }
}

/// Ends the outer hooks, also if the end of an inner one panics.
struct OuterEnd<'a, H>
where
    H: HookStack,
{
    holds: &'a mut H,
    end: Outcome,
}

impl<H> Drop for OuterEnd<'_, H>
where
    H: HookStack,
{
    fn drop(&mut self) {
        self.holds.on_end(self.end);
    }
}
