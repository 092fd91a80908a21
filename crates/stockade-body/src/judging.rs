//! Where a body is judged: at once, or off the async threads where that takes long.

use std::{future::Future, num::NonZeroUsize, panic, pin::Pin, sync::Arc, thread};

use bytes::Bytes;
use stockade_core::{client::ClientIp, guard::Head, identity::Principal, refusal::Refusal};
use tokio::{runtime::Handle, sync::Semaphore};

use crate::{
    Profile,
    check::Shared,
    effort::{Effort, Wanted},
    halt::Halt,
    judge::Findings,
    memory::Caller,
    refusal, verdict,
};

/// How many bodies that take long are judged at a time.
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    /// As many places as this; as there are cores, for `None`.
    pub(crate) fn new(count: Option<NonZeroUsize>) -> Self {
        let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let count = count.map_or_else(cores, NonZeroUsize::get);
        Self(Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS))))
    }
}

/// A body that was read whole.
pub(crate) enum Judged {
    Passed(Findings),
    Refused(Refusal),
    /// It takes long.
    Later(Verdict),
}

/// Comes from another thread. Whoever drops it takes the work back.
pub(crate) type Verdict = Pin<Box<dyn Future<Output = Result<Findings, Refusal>> + Send>>;

/// Judges a body as far as that may be done where the request is.
pub(crate) fn judge(
    shared: &Arc<Shared>,
    profile: &Arc<Profile>,
    head: &Head,
    body: &Bytes,
) -> Judged {
    let (memory, key) = (&shared.memory, shared.rules.prompt_key());
    let headers = &head.headers;
    let caller = Caller::of(head);
    let by = |effort| verdict::of_body(profile, memory, key, caller, headers, body, &effort);
    match by(Effort::at_once()) {
        Ok(findings) => Judged::Passed(findings),
        Err(Halt::Refused(refusal)) => Judged::Refused(refusal),
        Err(Halt::Spent) if Handle::try_current().is_ok() => {
            let work = Work {
                shared: Arc::clone(shared),
                profile: Arc::clone(profile),
                principal: caller.principal.cloned(),
                client: caller.client,
                headers: head.headers.clone(),
                body: body.clone(),
            };
            Judged::Later(Box::pin(work.run()))
        }
        // Without a runtime there is nobody else whose turn it could be.
        Err(Halt::Spent) => match by(Effort::unbounded()) {
            Ok(findings) => Judged::Passed(findings),
            Err(halt) => Judged::Refused(refused(halt)),
        },
    }
}

/// A body that takes long, and all that its verdict depends on.
struct Work {
    shared: Arc<Shared>,
    profile: Arc<Profile>,
    principal: Option<Principal>,
    client: Option<ClientIp>,
    headers: http::HeaderMap,
    body: Bytes,
}

impl Work {
    /// Judges it from its beginning, on a thread for blocking work, when there is a place.
    ///
    /// Those that wait for a place hold their bodies, so the memory for bodies bounds them.
    async fn run(self) -> Result<Findings, Refusal> {
        let places = Arc::clone(&self.shared.places.0);
        let place = places.acquire_owned().await;
        let place = place.expect("the semaphore is never closed");
        // Gone when the client is, which ends the work and so frees the place.
        let wanted = Arc::new(Wanted);
        let effort = Effort::while_wanted(Arc::downgrade(&wanted));
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            self.judge(&effort)
        });
        match work.await {
            Ok(verdict) => verdict.map_err(refused),
            Err(error) => match error.try_into_panic() {
                Ok(payload) => panic::resume_unwind(payload),
                Err(_) => Err(refusal::unjudged()),
            },
        }
    }

    fn judge(&self, effort: &Effort) -> Result<Findings, Halt> {
        verdict::of_body(
            &self.profile,
            &self.shared.memory,
            self.shared.rules.prompt_key(),
            Caller {
                principal: self.principal.as_ref(),
                client: self.client,
            },
            &self.headers,
            &self.body,
            effort,
        )
    }
}

/// The refusal, of a body that was judged to its end.
fn refused(halt: Halt) -> Refusal {
    match halt {
        Halt::Refused(refusal) => refusal,
        Halt::Spent => refusal::unjudged(),
    }
}
