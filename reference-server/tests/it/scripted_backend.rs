//! A scripted backend, for behaviour that a real model rarely shows.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{FutureExt, Stream, StreamExt, future::BoxFuture, stream};
use stockade_server::{
    backend::{
        Backend, BackendError, ByteProgress, Generation, MemoryReport, Phase, Status, UsageMeter,
    },
    chat::{ChatRequest, Event, FinishReason, Usage},
};
use stockade_testkit::poll::until_async;
use tokio::sync::watch;

/// The behaviour for each chat.
#[derive(Clone)]
pub(crate) enum Script {
    /// Refuses the chat.
    Refuse(BackendError),
    /// Never starts.
    Hang,
    /// Stays in the prefill.
    Prefill,
    /// Panics in the handler.
    Panic,
    /// Generates some text, then fails.
    Break(BackendError),
    /// Generates some text, then stalls.
    Stall,
    /// Generates some text, then completes when the value is true.
    Until(watch::Receiver<bool>),
    /// Generates as many long texts as `max_tokens`.
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

    /// The number of live generations.
    pub(crate) fn running(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.running)
    }
}

/// Counts live generations.
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
            device: "none".to_owned(),
            bytes: matches!(self.phase, Phase::Loading(_))
                .then_some(ByteProgress { done: 3, total: 9 }),
            memory: Some(MemoryReport {
                needed: 70,
                weights: 40,
                kv_cache: 20,
                images: 10,
                available: None,
            }),
        }
    }

    fn chat(
        &self,
        request: ChatRequest,
        meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Generation, BackendError>> {
        let alive = Alive::new(&self.running);
        let made = meter.clone();
        let text = stream::once(async move {
            report(&made, 1);
            Ok(Event::text("some"))
        });
        match self.script.clone() {
            Script::Refuse(error) => async move { Err(error) }.boxed(),
            Script::Panic => async move { panic!("scripted panic") }.boxed(),
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
                let pieces = stream::repeat(Ok(Event::text("talk".repeat(1_024)))).take(count);
                let pieces = pieces.chain(end(FinishReason::Length, Usage::new(1, count)));
                async move { Ok(kept(pieces, alive)) }.boxed()
            }
            Script::Until(mut signal) => {
                let signalled = async move {
                    // Fails only if the test has dropped the sender.
                    let _ = signal.wait_for(|end| *end).await;
                    end(FinishReason::Stop, Usage::new(1, 1))
                };
                let pieces = text.chain(stream::once(signalled).flatten());
                async move { Ok(kept(pieces, alive)) }.boxed()
            }
            Script::Stall => {
                let pieces = text.chain(stream::pending());
                async move { Ok(kept(pieces, alive)) }.boxed()
            }
        }
    }
}

/// The last events of a generation.
fn end(
    reason: FinishReason,
    usage: Usage,
) -> impl Stream<Item = Result<Event, BackendError>> + Send + 'static {
    let finish = Event::Finish { choice: 0, reason };
    stream::iter([Ok(finish), Ok(Event::Done(usage))])
}

/// The number of tokens of each prompt.
pub(crate) const PROMPT_TOKENS: usize = 7;

fn report(meter: &UsageMeter, completion_tokens: usize) {
    meter.report(Usage::new(PROMPT_TOKENS, completion_tokens));
}

/// A generation that counts as live until it is dropped.
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

/// Waits until this number of generations is live.
pub(crate) async fn wait_until(running: &AtomicUsize, expected: usize) {
    until_async("the number of generations", async || {
        running.load(Ordering::SeqCst) == expected
    })
    .await;
}
