//! What a guard keeps while a response is on its way.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

/// Kept from the moment a request is let in until its response body has ended.
///
/// A permit only needs its `Drop`; a meter also implements the hooks. They are called in
/// the order of the methods, [`data`](Self::data) as often as there is some and each other
/// one at most once. Where the inner service fails, panics or is dropped before it answers,
/// only [`end`](Self::end) is called.
pub trait Hold: Sized {
    /// Whether the value lives on past the response head. Where it is `false`, the value
    /// is dropped after [`head`](Self::head), [`end`](Self::end) is not called on a
    /// response, and the body path costs nothing.
    const UNTIL_BODY_END: bool = true;

    /// The response's head, which may still be changed.
    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let _ = (status, headers);
    }

    /// A piece of the response's body; the `last` one, where the body knows that it is.
    fn data(&mut self, data: &Bytes, last: bool) {
        let _ = (data, last);
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

    fn data(&mut self, data: &Bytes, last: bool) {
        if let Some(hold) = self {
            hold.data(data, last);
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
pub trait Holds: Default + Sealed {
    /// Whether any of them lives on past the response head.
    const UNTIL_BODY_END: bool;

    /// Shows all of them the head, and drops those that end with it.
    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap);

    /// Shows all of them a piece of the body.
    fn data(&mut self, data: &Bytes, last: bool);

    /// Shows all of them the trailers.
    fn trailers(&mut self, trailers: &HeaderMap);

    /// Ends all of them, and leaves the slots empty.
    fn end(&mut self, end: End);
}

pub trait Sealed {}

impl<H> Sealed for Option<H> {}

/// The slot of one guard.
impl<H> Holds for Option<H>
where
    H: Hold,
{
    const UNTIL_BODY_END: bool = H::UNTIL_BODY_END;

    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        Hold::head(self, status, headers);
        if !H::UNTIL_BODY_END {
            *self = None;
        }
    }

    fn data(&mut self, data: &Bytes, last: bool) {
        Hold::data(self, data, last);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        Hold::trailers(self, trailers);
    }

    fn end(&mut self, end: End) {
        Hold::end(self.take(), end);
    }
}

impl<H> Sealed for Box<H> {}

/// The slots of many: moved as one pointer from the future to the body.
impl<H> Holds for Box<H>
where
    H: Holds,
{
    const UNTIL_BODY_END: bool = H::UNTIL_BODY_END;

    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        (**self).head(status, headers);
    }

    fn data(&mut self, data: &Bytes, last: bool) {
        (**self).data(data, last);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        (**self).trailers(trailers);
    }

    fn end(&mut self, end: End) {
        (**self).end(end);
    }
}

impl<A, B> Sealed for (A, B) {}

/// The slots of what stands outside, and of what stands inside.
impl<A, B> Holds for (A, B)
where
    A: Holds,
    B: Holds,
{
    const UNTIL_BODY_END: bool = A::UNTIL_BODY_END || B::UNTIL_BODY_END;

    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let (outer, inner) = self;
        inner.head(status, headers);
        outer.head(status, headers);
    }

    fn data(&mut self, data: &Bytes, last: bool) {
        let (outer, inner) = self;
        inner.data(data, last);
        outer.data(data, last);
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        let (outer, inner) = self;
        inner.trailers(trailers);
        outer.trailers(trailers);
    }

    fn end(&mut self, end: End) {
        let (outer, inner) = self;
        let mut outer = OuterEnd {
            holds: outer,
            end: End::Panicked,
        };
        inner.end(end);
        outer.end = end;
    }
}

/// Ends what stands outside, also where the end of what stands inside panics.
struct OuterEnd<'a, H>
where
    H: Holds,
{
    holds: &'a mut H,
    end: End,
}

impl<H> Drop for OuterEnd<'_, H>
where
    H: Holds,
{
    fn drop(&mut self) {
        self.holds.end(self.end);
    }
}
