#![doc = include_str!("../docs/writing-a-guard.md")]
//!
//! [`guard_fn`]: crate::core::guard::guard_fn
//! [`Head`]: crate::core::guard::Head
//! [`Refusal`]: crate::core::refusal::Refusal
//! [`async_guard_fn`]: crate::core::guard::async_guard_fn
//! [`FenceBuilder`]: crate::FenceBuilder
//! [`RequestContext`]: crate::core::context::RequestContext
//! [`Refusal::not_configured`]: crate::core::refusal::Refusal::not_configured
//! [`Guard`]: crate::core::guard::Guard
//! [`ResponseHook`]: crate::core::guard::ResponseHook
