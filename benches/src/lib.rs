//! The stacks whose cost is measured, and the path of a request through them.
//!
//! 1. Each [`Stack`] has a name ([`STACKS`]), receives the same request, and checks the
//!    status of its response.
//! 2. A request passes through a stack as a server sends it: the service is cloned, polled
//!    ready and called, and the response body is read completely. Futures are polled by
//!    hand with a waker that does nothing, so that no runtime is measured.
//! 3. Copying and dropping the request is a separate stack ([`REQUEST`]), to be subtracted.
//! 4. Times are taken in turns ([`in_turns`]), so that those of one run can be compared.

mod assembled;
mod clients;
mod edges;
mod governor;
mod json_logs;
mod keys;
mod layers;
mod limits;
mod process;
mod request;
mod routers;
mod server;
mod stack;
mod stacks;
mod table;
mod timing;
mod upstream;
mod whole_fence;

pub use assembled::{App, as_written};
pub use clients::two_clients;
pub use json_logs::JsonLogs;
pub use keys::Keys;
pub use layers::context;
pub use limits::{Crowd, flooded};
pub use process::{Processes, Usage};
pub use request::{CHAT, PEER, request, request_from};
pub use routers::{router, typed_router, validated_router};
pub use server::{ROOT, build_server, make_key, raise_descriptor_limit, run};
pub use stack::{REQUESTS_COUNTED, Stack, exchange};
pub use stacks::*;
pub use table::{Goal, number};
pub use timing::{Figure, Plan, Subject, Times, cpu_time, in_turns, spent, wall_time};
pub use upstream::{Upstream, completion, stream_text};
pub use whole_fence::{Settings, WholeFence};
