//! A fetch, and permits to wait for it.

use std::{
    error::Error as _,
    sync::{Arc, atomic::Ordering},
};

use stockade_core::clock::Timestamp;

use super::{JwksError, MAX_WAITING, Shared};

/// A fetch in flight. Drop records its result.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    started: Timestamp,
    result: Option<Result<(), String>>,
}

impl Attempt {
    pub(super) fn new(shared: &Arc<Shared>, started: Timestamp) -> Self {
        Self {
            shared: Arc::clone(shared),
            started,
            result: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<(), JwksError> {
        let result = self.shared.refresh().await;
        self.result = Some(result.as_ref().copied().map_err(with_sources));
        result
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let shared = &self.shared;
        let source = shared.health.name();
        let good = match &self.result {
            Some(Ok(())) => {
                if shared.health.succeeded() {
                    tracing::info!(source, "fetch succeeded again");
                }
                true
            }
            failed => {
                let error = match failed {
                    Some(Err(error)) => error.as_str(),
                    _ => "the fetch was cancelled by shutdown or a panic",
                };
                if shared.health.failed(error) {
                    tracing::error!(
                        source,
                        error,
                        "fetch failed; the last key set stays active until it is too old"
                    );
                }
                false
            }
        };
        let mut state = shared.state();
        let due = shared.policy.finish(&mut state, self.started, good);
        shared.due.store(due.as_nanos(), Ordering::Relaxed);
        shared.finished.send_modify(|count| *count += 1);
    }
}

/// Formats an error with its sources.
fn with_sources(error: &JwksError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// One of a limited number of permits to wait; released on drop.
pub(super) struct WaitPermit(Arc<Shared>);

impl WaitPermit {
    pub(super) fn take(shared: &Arc<Shared>) -> Option<Self> {
        let more = |waiting| (waiting < MAX_WAITING).then_some(waiting + 1);
        shared
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Self(Arc::clone(shared)))
    }
}

impl Drop for WaitPermit {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}
