//! The policy for a journal that cannot keep up.

use std::time::Duration;

/// The policy for a journal that cannot keep up or whose sink fails. There is no default,
/// because each choice gives up something different.
///
/// A journal is *full* when more than half of its capacity is used; the other half is
/// reserved for requests that were admitted before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// Requests wait while the journal is full, without blocking a thread. Requires a tokio
    /// runtime with timers.
    Block {
        /// The maximum wait. After it the request is admitted, and its record may be lost and
        /// counted.
        at_most: Duration,
    },
    /// Requests are not affected. Records that do not fit are dropped, and a later record
    /// contains their number.
    DropAndCount,
    /// Requests are refused (503) while the journal is full or its sink fails.
    FailClosed,
}
