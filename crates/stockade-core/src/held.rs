//! The keeper of holds.

use http::{HeaderMap, StatusCode};

use crate::{End, Holds};

/// Sees to it that holds hear their end once, also when they are dropped.
#[derive(Debug)]
pub(crate) struct Held<H>(Option<H>)
where
    H: Holds;

impl<H> Held<H>
where
    H: Holds,
{
    /// Empty slots.
    pub(crate) fn new() -> Self {
        Self(Some(H::default()))
    }

    /// Nothing to keep.
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// The slots, for guards to fill.
    pub(crate) fn slots(&mut self) -> &mut H {
        self.0.get_or_insert_default()
    }

    pub(crate) fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        if let Some(holds) = &mut self.0 {
            holds.head(status, headers);
            if !H::UNTIL_BODY_END {
                self.0 = None;
            }
        }
    }

    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(holds) = &mut self.0 {
            holds.trailers(trailers);
        }
    }

    pub(crate) fn end(&mut self, end: End) {
        if let Some(mut holds) = self.0.take() {
            holds.end(end);
        }
    }

    /// Moves the holds to their next keeper, which then owes them the end.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }
}

impl<H> Drop for Held<H>
where
    H: Holds,
{
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}
