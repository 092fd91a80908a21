//! A backend that does what a test says, for what a real model rarely does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use stockade_server::backend::{
    Backend, BackendError, ChatRequest, Event, FinishReason, Generation, Phase, Status, Usage,
    UsageMeter,
};
use tokio::sync::watch;

/// What becomes of a chat.
#[derive(Clone)]
pub(crate) enum Script {
    /// It is not taken.
    Refuse(BackendError),
    /// Nothing happens, for ever.
    Hang,
    /// The prompt is being read, for ever.
    Prefill,
    /// The handler panics.
    Panic,
    /// Some text, then this.
    Break(BackendError),
    /// Some text, then nothing, for ever.
    Stall,
    /// Some text, then the end, as soon as this is so.
    Until(watch::Receiver<bool>),
    /// As many pieces as there may be tokens, each of them long.
    Talk,
}

pub(crate) struct ScriptedBackend {
    phase: Phase,
    script: Script,
    running: Arc<AtomicUsize>,
}

impl ScriptedBackend {
    pub(crate) fn new(script: Script) -> Self {
        Self {
            phase: Phase::Ready,
            script,
            running: Arc::default(),
        }
    }

    pub(crate) fn in_phase(phase: Phase) -> Self {
        Self {
            phase,
            ..Self::new(Script::Hang)
        }
    }

    /// How many answers are alive.
    pub(crate) fn running(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.running)
    }
}

/// Counts what is alive.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Backend for ScriptedBackend {
    fn status(&self) -> Status {
        Status {
            phase: self.phase.clone(),
            model: "tiny".to_owned(),
            device: "none".to_owned(),
        }
    }

    fn chat(&self, request: ChatRequest) -> BoxFuture<'static, Result<Generation, BackendError>> {
        let alive = Alive::new(&self.running);
        let meter = request.meter;
        let made = meter.clone();
        let text = stream::once(async move {
            report(&made, 1);
            Ok(Event::Text("some".to_owned()))
        });
        match self.script.clone() {
            Script::Refuse(error) => async move { Err(error) }.boxed(),
            Script::Panic => async move { panic!("as the script says") }.boxed(),
            Script::Hang => async move {
                let _alive = alive;
                std::future::pending().await
            }
            .boxed(),
            Script::Prefill => async move {
                let _alive = alive;
                report(&meter, 0);
                std::future::pending().await
            }
            .boxed(),
            Script::Break(error) => {
                let pieces = text.chain(stream::iter([Err(error)]));
                async move { Ok(pieces.boxed()) }.boxed()
            }
            Script::Talk => {
                let count = request.sampling.max_tokens;
                let pieces = stream::repeat(Ok(Event::Text("talk".repeat(1_024)))).take(count);
                let done = Event::Done {
                    finish: FinishReason::Length,
                    usage: Usage {
                        prompt_tokens: 1,
                        completion_tokens: count,
                    },
                };
                let pieces = pieces.chain(stream::iter([Ok(done)]));
                async move { Ok(kept(pieces, alive)) }.boxed()
            }
            Script::Until(mut signal) => {
                let end = async move {
                    // Who could say so is gone, and so is the test.
                    let _ = signal.wait_for(|end| *end).await;
                    Ok(Event::Done {
                        finish: FinishReason::Stop,
                        usage: Usage {
                            prompt_tokens: 1,
                            completion_tokens: 1,
                        },
                    })
                };
                let pieces = text.chain(stream::once(end));
                async move { Ok(kept(pieces, alive)) }.boxed()
            }
            Script::Stall => {
                let pieces = text.chain(stream::pending());
                async move { Ok(kept(pieces, alive)) }.boxed()
            }
        }
    }
}

/// Tokens of each prompt.
pub(crate) const PROMPT_TOKENS: usize = 7;

fn report(meter: &UsageMeter, completion_tokens: usize) {
    meter.report(Usage {
        prompt_tokens: PROMPT_TOKENS,
        completion_tokens,
    });
}

/// An answer that is alive until it is dropped.
fn kept(
    pieces: impl Stream<Item = Result<Event, BackendError>> + Send + 'static,
    alive: Alive,
) -> Generation {
    let pieces = pieces.map(move |piece| {
        let _ = &alive;
        piece
    });
    pieces.boxed()
}

/// Waits until so many answers are alive; a test that waits too long has failed.
pub(crate) async fn wait_until(running: &AtomicUsize, expected: usize) {
    for _ in 0..1_000 {
        if running.load(Ordering::SeqCst) == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} answers are alive", running.load(Ordering::SeqCst));
}
