//! The stacks whose cost is measured, and the way a request goes through them.
//!
//! 1. Each [`Stack`] is measured with the same request, and checks its answer.
//! 2. A request goes through a stack as a server sends it: the service is cloned, polled
//!    ready and called, the response's body is read to its end. Futures are polled by
//!    hand with a waker that does nothing, so no runtime is measured along.
//! 3. What making and dropping the request costs is a stack of its own
//!    ([`REQUEST_ALONE`]), to be subtracted.
//! 4. Times are taken in turns ([`in_turns`]), so that those of one run can be compared.

mod clients;
mod fences;
mod json_logs;
mod keys;
mod limits;
mod peers;
mod request;
mod stack;
mod stacks;
mod timing;
mod whole_fence;

pub use clients::two_clients;
pub use fences::{
    ABUSE, BOXED_FENCE, FENCE, FENCE_CHAINED, FENCE_LIMITED, FENCE_REFUSED, RATE_LIMIT,
    RATE_LIMIT_REFUSED, context,
};
pub use json_logs::JsonLogs;
pub use keys::Keys;
pub use limits::{Crowd, flooded};
pub use peers::{
    BEARER, BEARER_GOVERNOR, GOVERNOR, GOVERNOR_REFUSED, TOWER_HTTP_SET, bearer_governor_router,
};
pub use request::{CHAT, PEER, request, request_from};
pub use stack::{Stack, exchange};
pub use stacks::*;
pub use timing::{Figure, Plan, Subject, Times, cpu_time, in_turns, spent, wall_time};
pub use whole_fence::{Settings, WholeFence};
