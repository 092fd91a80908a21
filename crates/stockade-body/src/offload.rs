//! Where a body is judged: at once, or off the async threads where that takes long.

use std::{future::Future, num::NonZeroUsize, panic, pin::Pin, sync::Arc, thread};

use bytes::Bytes;
use stockade_core::{client::ClientIp, guard::Head, identity::Principal, refusal::Refusal};
use tokio::{runtime::Handle, sync::Semaphore};

use crate::{
    Profile,
    check::Shared,
    checks,
    memory::Caller,
    refusal,
    scan_error::ScanError,
    validator::ValidationOutput,
    work_budget::{CancelToken, WorkBudget},
};

/// How many bodies that take long are judged at a time.
pub(crate) struct ValidationSlots(Arc<Semaphore>);

impl ValidationSlots {
    /// As many slots as this; as there are cores, for `None`.
    pub(crate) fn new(count: Option<NonZeroUsize>) -> Self {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = count.map_or_else(cores, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }
}

/// A body that was read whole.
pub(crate) enum Validation {
    Passed(ValidationOutput),
    Refused(Refusal),
    /// It takes long.
    Deferred(ValidationFuture),
}

/// Comes from another thread. Whoever drops it takes the work back.
pub(crate) type ValidationFuture =
    Pin<Box<dyn Future<Output = Result<ValidationOutput, Refusal>> + Send>>;

/// Judges a body as far as that may be done where the request is.
pub(crate) fn validate(
    shared: &Arc<Shared>,
    profile: &Arc<Profile>,
    head: &Head,
    body: &Bytes,
) -> Validation {
    let (memory, key) = (&shared.memory, shared.rules.prompt_key());
    let headers = &head.headers;
    let caller = Caller::of(head);
    let by = |budget| checks::validate_body(profile, memory, key, caller, headers, body, &budget);
    match by(WorkBudget::inline()) {
        Ok(output) => Validation::Passed(output),
        Err(ScanError::Refused(refusal)) => Validation::Refused(refusal),
        Err(ScanError::BudgetExhausted) if Handle::try_current().is_ok() => {
            let work = ValidationJob {
                shared: Arc::clone(shared),
                profile: Arc::clone(profile),
                principal: caller.principal.cloned(),
                client: caller.client,
                headers: head.headers.clone(),
                body: body.clone(),
            };
            Validation::Deferred(Box::pin(work.run()))
        }
        // Without a runtime there is nobody else whose turn it could be.
        Err(ScanError::BudgetExhausted) => match by(WorkBudget::unlimited()) {
            Ok(output) => Validation::Passed(output),
            Err(error) => Validation::Refused(into_refusal(error)),
        },
    }
}

/// A body that takes long, and all that its verdict depends on.
struct ValidationJob {
    shared: Arc<Shared>,
    profile: Arc<Profile>,
    principal: Option<Principal>,
    client: Option<ClientIp>,
    headers: http::HeaderMap,
    body: Bytes,
}

impl ValidationJob {
    /// Judges it from its beginning, on a thread for blocking work, when there is a slot.
    ///
    /// Those that wait for a slot hold their bodies, so the memory for bodies bounds them.
    async fn run(self) -> Result<ValidationOutput, Refusal> {
        let slots = Arc::clone(&self.shared.slots.0);
        let slot = slots.acquire_owned().await;
        let slot = slot.expect("the semaphore is never closed");
        // Gone when the client is, which ends the work and so frees the slot.
        let token = Arc::new(CancelToken);
        let budget = WorkBudget::until_cancelled(Arc::downgrade(&token));
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            self.validate(&budget)
        });
        match work.await {
            Ok(result) => result.map_err(into_refusal),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_) => Err(refusal::unjudged()),
            },
        }
    }

    fn validate(&self, budget: &WorkBudget) -> Result<ValidationOutput, ScanError> {
        checks::validate_body(
            &self.profile,
            &self.shared.memory,
            self.shared.rules.prompt_key(),
            Caller {
                principal: self.principal.as_ref(),
                client: self.client,
            },
            &self.headers,
            &self.body,
            budget,
        )
    }
}

/// The refusal, of a body that was judged to its end.
fn into_refusal(error: ScanError) -> Refusal {
    match error {
        ScanError::Refused(refusal) => refusal,
        ScanError::BudgetExhausted => refusal::unjudged(),
    }
}
