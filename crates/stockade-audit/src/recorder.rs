//! The guards that write records, and that apply the overflow policy.

use std::{sync::Arc, time::Duration};

use stockade_core::{
    guard::{BoxWait, Chain, Check, Guard, GuardStack, Head, NoWait},
    refusal::{Refusal, RefusalKind},
};

use crate::{
    AuditLog,
    journal::Admission,
    record_builder::{RecordBuilder, Settings},
};

/// Writes one record per request when its response has ended.
///
/// It admits all requests. Inner layers provide the route, the principal, the denial and the
/// number of bytes read through the
/// [`RequestContext`](stockade_core::context::RequestContext).
///
/// ```
/// use stockade_audit::{AuditLog, Journal, Overflow, Recorder, TracingSink};
/// use stockade_core::{context::ContextGuard, guard::GuardStack};
///
/// let journal = Journal::builder(TracingSink, Overflow::DropAndCount).start()?;
/// let guards = ContextGuard::new().then(Recorder::new(AuditLog::new(journal)));
/// let layer = guards.into_layer();
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Recorder(Arc<Settings>);

/// A [`Recorder`] and the [`Backpressure`] of its log, for a chain of guards.
pub type AuditGuards = Chain<Recorder, Backpressure>;

impl Recorder {
    /// Creates a guard that writes to this log.
    pub fn new(log: AuditLog) -> Self {
        Self(Arc::new(Settings {
            log,
            user_agent: false,
        }))
    }

    /// Sets whether the `User-Agent` header is recorded; `false` by default. Its text is chosen
    /// by the client.
    pub fn user_agent(self, recorded: bool) -> Self {
        Self(Arc::new(Settings {
            log: self.0.log.clone(),
            user_agent: recorded,
        }))
    }

    /// Adds the [`Backpressure`] of the same log.
    ///
    /// In a chain, a guard that reads request bodies reports their length with
    /// [`RequestContext::set_bytes_read`](stockade_core::context::RequestContext::set_bytes_read);
    /// without such a guard, add a [`BodyCounter`](crate::BodyCounter).
    pub fn with_backpressure(self) -> AuditGuards {
        let backpressure = Backpressure::new(self.0.log.clone());
        self.then(backpressure)
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
        RecordBuilder::new(&self.0, head)
    }
}

/// Delays or refuses requests while the log is full or failing, according to its
/// [`Overflow`](crate::Overflow). Put it directly inside of the [`Recorder`], so that refused
/// requests are recorded.
#[derive(Clone, Debug)]
pub struct Backpressure(AuditLog);

impl Backpressure {
    /// Creates a guard that applies the overflow policies of this log.
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
                    // After the maximum wait, the request is admitted as well.
                    let _ = tokio::time::timeout(at_most, space).await;
                    Ok(())
                }))
            }
            Admission::Refuse => Check::Refuse(unavailable()),
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

fn unavailable() -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the server cannot write its audit log; try again later",
    )
    .with_code("AUDIT_UNAVAILABLE")
    .with_internal_reason("the audit log cannot be written")
    .retry_after(Duration::from_secs(1))
}
