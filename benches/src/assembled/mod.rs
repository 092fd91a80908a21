//! The assembled peer: the functions of the whole fence from what users combine today.
//!
//! A map of bans, SHA-256 keys with expiry and scope, tower_governor by address and by key
//! with headers, a semaphore a key until the body has ended, request ids, sensitive headers,
//! a timeout, a body limit, and one JSON line a request. The body is validated by garde in
//! the handler. [`as_written`] uses `from_fn` and `Router::layer`, [`by_hand`] unboxed tower
//! services around the router.

mod as_written;
mod by_hand;
mod by_key;
mod chat;
mod permit;
mod state;
mod trace;

pub use as_written::as_written;
pub(crate) use by_hand::by_hand;
pub(crate) use chat::Chat;
pub use state::App;

/// The limit of a body in bytes.
const BODY_LIMIT: usize = 20 * 1024 * 1024;
