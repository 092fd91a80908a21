//! The stacks whose cost is measured, and the way a request goes through them.
//!
//! 1. Each [`Stack`] is measured with the same request, and checks its answer.
//! 2. A request goes through a stack as a server sends it: the service is cloned, polled
//!    ready and called, the response's body is read to its end. Futures are polled by
//!    hand with a waker that does nothing, so no runtime is measured along.
//! 3. What building and dropping the request costs is a stack of its own
//!    ([`REQUEST_ALONE`]), to be subtracted.

mod fences;
mod peers;
mod stack;
mod stacks;

pub use fences::{ABUSE, FENCE, FENCE_CHAINED, FENCE_REFUSED, RATE_LIMIT, RATE_LIMIT_REFUSED};
pub use peers::{BEARER, BEARER_GOVERNOR, GOVERNOR, GOVERNOR_REFUSED, TOWER_HTTP_SET};
pub use stack::Stack;
pub use stacks::*;
