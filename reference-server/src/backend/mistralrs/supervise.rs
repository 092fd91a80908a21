//! Supervises the engine: loads it, and reloads it when it dies.

use std::{
    any::Any,
    future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{
    runtime::{Builder, Runtime},
    sync::watch,
};

use super::{
    MistralRsConfig, Phase,
    admission::Admission,
    embedder::Embedder,
    engine::Engine,
    loader::{LoadEvent, load},
    metrics::RestartReason,
    model_dir::LoadError,
    placement::Placement,
};
use crate::backend::{ByteProgress, MemoryReport};

/// The state of the model.
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) device: String,
    /// The progress of the stage.
    pub(super) bytes: Option<ByteProgress>,
    /// The memory that the model needs; `None` until its files have been read.
    pub(super) memory: Option<MemoryReport>,
    /// `Some` while the phase is [`Phase::Ready`].
    pub(super) engine: Option<LoadedEngine>,
    /// What the model is for, once its files have been read.
    pub(super) task: Option<ModelTask>,
}

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ModelTask {
    Chat,
    Embedding,
}

/// The engine of a loaded model.
#[derive(Clone)]
pub(super) enum LoadedEngine {
    Chat(Arc<Engine>),
    Embedding(Arc<Embedder>),
}

impl LoadedEngine {
    fn task(&self) -> ModelTask {
        match self {
            Self::Chat(_) => ModelTask::Chat,
            Self::Embedding(_) => ModelTask::Embedding,
        }
    }

    /// Resolves when the engine has died.
    async fn died(&self) {
        match self {
            Self::Chat(engine) => engine.died().await,
            Self::Embedding(embedder) => embedder.died().await,
        }
    }

    /// Resolves when no request uses the engine any more, except for this reference.
    async fn unused(&self) {
        let users = || match self {
            Self::Chat(engine) => Arc::strong_count(engine),
            Self::Embedding(embedder) => Arc::strong_count(embedder),
        };
        while users() > 1 {
            tokio::time::sleep(CHECK_INTERVAL).await;
        }
    }

    /// Ends all requests of an engine that is stuck.
    fn give_up(&self) {
        match self {
            Self::Chat(engine) => engine.give_up(),
            Self::Embedding(embedder) => embedder.give_up(),
        }
    }
}

/// How long an engine must run until earlier failures no longer count.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// The maximum backoff before the next attempt.
const MAX_BACKOFF: Duration = Duration::from_secs(60);

/// Starts the supervisor thread, which ends when all receivers of the state are dropped.
///
/// It has a runtime of its own, because loading blocks for minutes inside async code.
pub(super) fn start(
    config: MistralRsConfig,
    admission: Arc<Admission>,
    wanted: watch::Receiver<bool>,
) -> watch::Receiver<State> {
    let (state, watching) = watch::channel(State {
        phase: Phase::Loading("starting".to_owned()),
        device: "unknown".to_owned(),
        bytes: None,
        memory: None,
        engine: None,
        task: config.task(),
    });
    let state = Arc::new(state);
    let thread_state = state.clone();
    let spawned = thread::Builder::new()
        .name("model-supervisor".to_owned())
        .spawn(move || {
            match Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
            {
                Ok(runtime) => supervise(&config, &admission, wanted, &runtime, &thread_state),
                Err(error) => {
                    fail(
                        &thread_state,
                        format!("cannot start a runtime: {error}"),
                        true,
                    );
                }
            }
        });
    if let Err(error) = spawned {
        fail(&state, format!("cannot start a thread: {error}"), true);
    }
    watching
}

fn supervise(
    config: &MistralRsConfig,
    admission: &Admission,
    mut wanted: watch::Receiver<bool>,
    runtime: &Runtime,
    state: &watch::Sender<State>,
) {
    let report = |event| match event {
        LoadEvent::Stage(text) => set(state, Phase::Loading(text), None),
        LoadEvent::Bytes(bytes) => state.send_modify(|state| state.bytes = Some(bytes)),
        LoadEvent::Memory(memory) => state.send_modify(|state| state.memory = Some(memory)),
    };
    let mut failures = 0;
    let mut last_error = None;
    loop {
        if !*wanted.borrow() {
            set(state, Phase::Unloaded, None);
            tracing::info!("the model is unloaded");
            let reload = async {
                tokio::select! {
                    biased;
                    () = state.closed() => false,
                    loaded = wanted.wait_for(|wanted| *wanted) => loaded.is_ok(),
                }
            };
            if !runtime.block_on(reload) {
                return;
            }
            report(LoadEvent::Stage("starting".to_owned()));
            (failures, last_error) = (0, None);
        }
        let attempt = catch_unwind(AssertUnwindSafe(|| {
            let placement = Placement::open(&config.device)?;
            state.send_modify(|state| state.device.clone_from(&placement.name));
            runtime.block_on(async {
                let engine = load(config, &placement, &report).await?;
                report(LoadEvent::Stage("measuring the speed".to_owned()));
                engine.calibrate(admission).await;
                Ok(engine)
            })
        }));
        match attempt.unwrap_or_else(|panic| Err(panic_message(&*panic))) {
            Ok(engine) => {
                last_error = None;
                set(state, Phase::Ready, Some(engine.clone()));
                let since = Instant::now();
                let end = runtime.block_on(async {
                    tokio::select! {
                        () = engine.died() => End::Restart(RestartReason::Died),
                        stuck_for = stuck(admission) => {
                            tracing::error!(?stuck_for, "the engine is stuck");
                            End::Restart(RestartReason::Stuck)
                        }
                        () = unloaded(&engine, &mut wanted, state) => End::Unloaded,
                        () = state.closed() => End::Closed,
                    }
                });
                let reason = match end {
                    End::Restart(reason) => reason,
                    End::Unloaded => continue,
                    End::Closed => return,
                };
                admission.metrics.restarted(reason);
                failures = if since.elapsed() > HEALTHY_AFTER {
                    0
                } else {
                    failures + 1
                };
                // Before its requests end, so that no new one gets this engine.
                let text = match reason {
                    RestartReason::Died => "the engine has died and is reloading",
                    RestartReason::Stuck => "the engine is stuck and is reloading",
                };
                report(LoadEvent::Stage(text.to_owned()));
                if reason == RestartReason::Stuck {
                    engine.give_up();
                }
                tracing::error!(?reason, failures, "the engine is reloading");
            }
            Err(error) => {
                failures += 1;
                let is_new = last_error.as_ref() != Some(&error);
                last_error = Some(error.clone());
                fail(state, error, is_new);
            }
        }
        let left = runtime.block_on(async {
            tokio::select! {
                () = tokio::time::sleep(backoff(failures)) => false,
                // Not needed any more, or needed at once.
                changed = wanted.changed() => changed.is_err(),
                () = state.closed() => true,
            }
        });
        if left {
            return;
        }
    }
}

/// Why the supervisor leaves an engine.
enum End {
    Restart(RestartReason),
    Unloaded,
    Closed,
}

/// Resolves when the engine is not wanted, and its requests have ended. Until then it can be wanted
/// again.
async fn unloaded(
    engine: &LoadedEngine,
    wanted: &mut watch::Receiver<bool>,
    state: &watch::Sender<State>,
) {
    while wanted.wait_for(|wanted| !*wanted).await.is_ok() {
        set(state, Phase::Unloaded, None);
        tracing::info!("the model is unloaded when its requests have ended");
        tokio::select! {
            () = engine.unused() => return,
            _ = wanted.wait_for(|wanted| *wanted) => set(state, Phase::Ready, Some(engine.clone())),
        }
    }
    // The supervisor is about to end.
    future::pending().await
}

/// How often running requests are checked for progress.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// Resolves when the engine is stuck, with the time since its last progress.
async fn stuck(admission: &Admission) -> Duration {
    loop {
        tokio::time::sleep(CHECK_INTERVAL).await;
        if let Some(stuck_for) = admission.stuck_for() {
            return stuck_for;
        }
    }
}

/// Exponential backoff: zero, 1 s, 2 s, 4 s, … up to the maximum.
fn backoff(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 1).min(16)).min(MAX_BACKOFF),
    }
}

fn set(state: &watch::Sender<State>, phase: Phase, engine: Option<LoadedEngine>) {
    state.send_modify(|state| {
        state.phase = phase;
        state.bytes = None;
        state.task = engine.as_ref().map(LoadedEngine::task).or(state.task);
        state.engine = engine;
    });
}

fn fail(state: &watch::Sender<State>, error: LoadError, is_new: bool) {
    // Set before logging, so that a reader of the log sees the new state.
    set(state, Phase::Failed(error.clone()), None);
    // Retries can fail with the same error for days; it is logged once.
    if is_new {
        tracing::error!(
            error = error,
            "the model is not available; chats get a 503, and loading is retried"
        );
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> LoadError {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    let first = text.lines().next().unwrap_or_default();
    format!("loading panicked ({first}): check that the model's files are complete and supported")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_grows_to_a_limit() {
        let seconds = [0, 1, 2, 3, 7, 8, u32::MAX].map(|n| backoff(n).as_secs());
        assert_eq!(seconds, [0, 1, 2, 4, 60, 60, 60]);
    }
}
