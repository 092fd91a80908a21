//! The wire formats of chats, and their conversion to and from the canonical form in
//! [`chat`](crate::chat).
//!
//! Everything here is pure: bytes in, values out. Handlers read bodies and send responses.

pub mod chat;
mod sse;
