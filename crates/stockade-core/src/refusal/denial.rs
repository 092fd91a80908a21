//! A refusal, as logs and metrics see it.

use crate::refusal::{RefusalKind, RefusalReason};

/// Which guard refused a request, and why; for logs and metrics, not for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Denial {
    /// [`Guard::NAME`](crate::guard::Guard::NAME).
    pub guard: &'static str,
    /// [`Refusal::kind`](crate::refusal::Refusal::kind).
    pub kind: RefusalKind,
    /// [`Refusal::code`](crate::refusal::Refusal::code).
    pub code: &'static str,
    /// [`Refusal::internal_reason`](crate::refusal::Refusal::internal_reason): details that the client does not get.
    pub internal_reason: &'static str,
    /// [`Refusal::reason`](crate::refusal::Refusal::reason): what it says about the client.
    pub reason: Option<RefusalReason>,
    /// [`Refusal::fingerprint`](crate::refusal::Refusal::fingerprint): tells one offence repeated from many.
    pub fingerprint: Option<u64>,
}
