//! What happens where records come faster than they can be written.

use std::time::Duration;

/// What happens when the log cannot keep up, or cannot be written at all. There is no
/// default: one of them is right for you.
///
/// A journal is *full* when half of its capacity waits to be written; the other half is
/// for the requests that were let in before that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Requests wait at the door while the journal is full, without holding a thread. This
    /// needs a tokio runtime with time.
    Block {
        /// How long one waits; it is let in then, and its record may be lost and counted.
        at_most: Duration,
    },
    /// Requests never notice. Records that find no room are lost, and a record says how
    /// many as soon as there is room.
    DropAndCount,
    /// Requests are refused (503) while the journal is full, or its sink fails.
    FailClosed,
}
