//! Runs validation inline, or on blocking threads when it takes long.

use std::{future::Future, panic, pin::Pin, sync::Arc};

use bytes::Bytes;
use stockade_core::{client::ClientIp, guard::Head, identity::Principal, refusal::Refusal};
use tokio::runtime::Handle;

use crate::{
    Profile,
    memory::Caller,
    refusal,
    scan_error::ScanError,
    shared::Shared,
    validate,
    validator::ValidationOutput,
    work_budget::{CancelToken, WorkBudget},
};

/// The state of validating a complete body.
pub(crate) enum Validation {
    Passed(ValidationOutput),
    Refused(Refusal),
    /// Validation continues on a blocking thread.
    Deferred(ValidationFuture),
}

/// Resolves to the result of a blocking thread. Dropping it cancels the work.
pub(crate) type ValidationFuture =
    Pin<Box<dyn Future<Output = Result<ValidationOutput, Refusal>> + Send>>;

/// Validates a body inline, within the inline budget; otherwise prepares a job.
pub(crate) fn validate(
    shared: &Arc<Shared>,
    profile: &Arc<Profile>,
    head: &Head,
    body: &Bytes,
) -> Validation {
    let (memory, key) = (&shared.memory, shared.rules.prompt_key());
    let headers = &head.headers;
    let caller = Caller::of(head);
    let by = |budget| validate::validate_body(profile, memory, key, caller, headers, body, &budget);
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
        // Without a runtime no other task is starved.
        Err(ScanError::BudgetExhausted) => match by(WorkBudget::unlimited()) {
            Ok(output) => Validation::Passed(output),
            Err(error) => Validation::Refused(into_refusal(error)),
        },
    }
}

/// A validation that takes long, with all its inputs.
struct ValidationJob {
    shared: Arc<Shared>,
    profile: Arc<Profile>,
    principal: Option<Principal>,
    client: Option<ClientIp>,
    headers: http::HeaderMap,
    body: Bytes,
}

impl ValidationJob {
    /// Validates the body from the start on a blocking thread, once a slot is free.
    ///
    /// Queued jobs hold their bodies, so the memory budget bounds the queue.
    async fn run(self) -> Result<ValidationOutput, Refusal> {
        let slot = self.shared.slots.acquire().await;
        // Dropped when the client disconnects, which ends the work and frees the slot.
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
                Err(_) => Err(refusal::not_validated()),
            },
        }
    }

    fn validate(&self, budget: &WorkBudget) -> Result<ValidationOutput, ScanError> {
        validate::validate_body(
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

/// The refusal of a validation that ran without an inline budget.
fn into_refusal(error: ScanError) -> Refusal {
    match error {
        ScanError::Refused(refusal) => refusal,
        ScanError::BudgetExhausted => refusal::not_validated(),
    }
}
