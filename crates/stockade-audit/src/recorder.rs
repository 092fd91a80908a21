//! The guards that see to records.

use std::{sync::Arc, time::Duration};

use stockade_core::{
    guard::Guard,
    guard::{BoxWait, NoWait},
    guard::{Check, Head},
    refusal::{Refusal, RefusalKind},
};

use crate::{
    AuditLog,
    journal::Admission,
    record_builder::{RecordBuilder, Shared},
};

/// Writes one record a request, when its response has ended, however it ended.
///
/// It lets everybody in. The layers inside of it tell it the route, the principal, the
/// verdict and the bytes that were read by way of the
/// [`RequestContext`](stockade_core::context::RequestContext).
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Shared>);

impl Recorder {
    /// Writes to this log; with the `User-Agent` header, which is whatever the client likes,
    /// or without.
    pub fn new(log: AuditLog, user_agent: bool) -> Self {
        Self(Arc::new(Shared { log, user_agent }))
    }
}

impl Guard for Recorder {
    const NAME: &'static str = "audit";
    type Pass = ();
    type Hook = RecordBuilder;
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), Self::Wait> {
        Check::Pass(())
    }

    fn admit(&self, (): (), head: &mut Head) -> RecordBuilder {
        RecordBuilder::begin(&self.0, head)
    }
}

/// Keeps requests waiting, or out, while the log has no room, where that is its
/// [`Overflow`](crate::Overflow). Right inside of the [`Recorder`], which so records them.
#[derive(Clone, Debug)]
pub struct Backpressure(AuditLog);

impl Backpressure {
    /// Asks this log.
    pub fn new(log: AuditLog) -> Self {
        Self(log)
    }
}

impl Guard for Backpressure {
    const NAME: &'static str = "audit";
    type Pass = ();
    type Hook = ();
    type Wait = BoxWait<()>;

    fn check(&self, _head: &Head) -> Check<(), Self::Wait> {
        match self.0.admission() {
            Admission::Admit => Check::Pass(()),
            Admission::Wait { at_most } => {
                let space = self.0.clone().wait_for_space();
                Check::Wait(Box::pin(async move {
                    // Whoever has waited long enough is let in as well.
                    let _ = tokio::time::timeout(at_most, space).await;
                    Ok(())
                }))
            }
            Admission::Refuse => Check::Refuse(unwritable()),
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

fn unwritable() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the server cannot keep its records now; try again later",
    )
    .with_code("AUDIT_UNAVAILABLE")
    .with_internal_reason("the audit log cannot be written")
    .retry_after(Duration::from_secs(1))
}
