//! Runs a generation in a task of its own.
//!
//! The task reads all of the engine's replies, even after the client has disconnected (see
//! `quirks`), and holds the slot until the engine has stopped. The channel to the client is
//! unbounded, but receives at most one short text for each token, so `max_tokens` bounds it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mistralrs::Response;
use tokio::sync::mpsc;

use super::{
    BackendError, Event, FinishReason, Usage, UsageMeter,
    admission::Slot,
    engine::{self, Engine},
    logit_bias::LogitBias,
    logits_processor::LogitsProcessor,
    prompt::Prompt,
    quirks,
    sampler::Sampler,
    stop_filter::{Filtered, StopFilter},
};

/// An item of the generation's stream.
pub(super) type Item = Result<Event, BackendError>;

/// A generation to run.
pub(super) struct GenerationTask {
    pub(super) engine: Arc<Engine>,
    pub(super) prompt: Prompt,
    pub(super) sampler: Sampler,
    pub(super) bias: LogitBias,
    pub(super) max_tokens: usize,
    pub(super) stop: StopFilter,
    pub(super) slot: Slot,
    /// The number of resumed generations (fault 4 in `quirks`).
    pub(super) resumes: Arc<AtomicU64>,
    /// The number of prompt tokens, counted before the generation starts.
    pub(super) prompt_tokens: usize,
    /// Receives the usage while the engine works.
    pub(super) meter: UsageMeter,
}

impl GenerationTask {
    /// Spawns the task; dropping the receiver stops the generation.
    pub(super) fn start(self) -> mpsc::UnboundedReceiver<Item> {
        let (out, items) = mpsc::unbounded_channel();
        tokio::spawn(self.run(out));
        items
    }

    async fn run(self, out: mpsc::UnboundedSender<Item>) {
        let mut output = Output {
            stop: self.stop,
            out,
            text: String::new(),
            usage: Usage::default(),
            stopped: false,
        };
        let mut attempts = 0;
        let max = if self.engine.info.can_continue {
            quirks::MAX_RESUMES
        } else {
            0
        };
        let eos_tokens = &self.engine.info.eos_tokens;
        let processor = LogitsProcessor::new(self.sampler, self.bias, eos_tokens, self.max_tokens);
        let processor = Arc::new(processor.metered(self.meter.clone()));
        let last = loop {
            let remaining = self.max_tokens - output.usage.completion_tokens.min(self.max_tokens);
            if remaining == 0 {
                break Ok(FinishReason::Length);
            }
            let prefix = (attempts > 0).then_some(output.text.as_str());
            let started = self
                .engine
                .start(&self.prompt, prefix, processor.clone(), remaining);
            let ended = match started.await {
                Ok(replies) => {
                    if attempts == 0 {
                        // The engine has accepted the prompt and starts the prefill.
                        self.meter.report(Usage::new(self.prompt_tokens, 0));
                    }
                    output
                        .follow(replies, &processor, &self.engine, attempts > 0)
                        .await
                }
                Err(error) => break Err(error),
            };
            let progress = processor.progress();
            output.usage = Usage::new(progress.prompt, progress.generated);
            match ended {
                AttemptEnd::Finished(finish) => break Ok(finish),
                AttemptEnd::Refused => break Err(engine::refused()),
                AttemptEnd::Failed(error)
                    if quirks::is_retokenisation_error(&error) && attempts < max =>
                {
                    attempts += 1;
                    processor.resume();
                    self.resumes.fetch_add(1, Ordering::Relaxed);
                }
                AttemptEnd::Failed(error) => {
                    engine::log("answer", &error);
                    break Err(BackendError::Engine);
                }
                AttemptEnd::NoReason => {
                    let is_eos = |token| eos_tokens.contains(token);
                    let last_is_eos = progress.last.is_some_and(is_eos);
                    let finish =
                        quirks::infer_finish(progress.generated, self.max_tokens, last_is_eos);
                    break finish.ok_or(BackendError::Engine);
                }
            }
        };
        // Before the last event, so that a client that has received it finds the slot free.
        drop(self.slot);
        output.finish(last);
    }
}

/// How an attempt ended.
enum AttemptEnd {
    Finished(FinishReason),
    Failed(String),
    Refused,
    /// The replies ended without a finish reason.
    NoReason,
}

/// The output so far.
struct Output {
    stop: StopFilter,
    out: mpsc::UnboundedSender<Item>,
    /// All text of the model, including what the stop filter holds back.
    text: String,
    usage: Usage,
    /// Whether a stop sequence was found.
    stopped: bool,
}

impl Output {
    /// Reads all replies of an attempt.
    async fn follow(
        &mut self,
        mut replies: mpsc::Receiver<Response>,
        processor: &LogitsProcessor,
        engine: &Engine,
        resumed: bool,
    ) -> AttemptEnd {
        // The first reply with a finish reason counts; others may follow (fault 9 in `quirks`).
        let mut ended = None;
        let mut restore_whitespace = resumed;
        let mut disconnected = false;
        loop {
            let reply = tokio::select! {
                biased;
                () = self.out.closed(), if !disconnected => {
                    disconnected = true;
                    processor.end();
                    continue;
                }
                reply = replies.recv() => reply,
            };
            let Some(reply) = reply else { break };
            if ended.is_some() {
                continue;
            }
            match reply {
                Response::Chunk(chunk) => {
                    let Some(choice) = chunk.choices.into_iter().next() else {
                        // A chunk without choices has no text.
                        continue;
                    };
                    let mut text = choice.delta.content.unwrap_or_default();
                    if std::mem::take(&mut restore_whitespace) {
                        let first = processor.progress().first;
                        let space =
                            first.map(|t| quirks::stripped_whitespace(&engine.info.tokenizer, t));
                        text.insert_str(0, &space.unwrap_or_default());
                    }
                    self.add(&text, processor);
                    if let Some(reason) = choice.finish_reason {
                        ended = Some(AttemptEnd::Finished(match reason.as_str() {
                            "length" => FinishReason::Length,
                            _ => FinishReason::Stop,
                        }));
                    }
                }
                Response::ModelError(error, _) => ended = Some(AttemptEnd::Failed(error)),
                Response::InternalError(error) => {
                    ended = Some(AttemptEnd::Failed(error.to_string()))
                }
                Response::ValidationError(error) => {
                    engine::log("validation", &error.to_string());
                    ended = Some(AttemptEnd::Refused);
                }
                // Other replies belong to requests that this backend does not send.
                _ => {}
            }
        }
        if self.stopped || disconnected {
            // The output is complete, regardless of the other replies.
            return AttemptEnd::Finished(FinishReason::Stop);
        }
        ended.unwrap_or(AttemptEnd::NoReason)
    }

    fn add(&mut self, text: &str, processor: &LogitsProcessor) {
        if self.stopped {
            return;
        }
        self.text.push_str(text);
        let passed = match self.stop.push(text) {
            Filtered::Pass(text) => text,
            Filtered::Stopped(text) => {
                self.stopped = true;
                processor.end();
                text
            }
        };
        self.send(passed);
    }

    fn finish(mut self, last: Result<FinishReason, BackendError>) {
        let items = match last {
            Ok(reason) => {
                let rest = self.stop.finish();
                self.send(rest);
                let finish = Event::Finish { choice: 0, reason };
                [Some(Ok(finish)), Some(Ok(Event::Done(self.usage)))]
            }
            Err(error) => [Some(Err(error)), None],
        };
        for item in items.into_iter().flatten() {
            // Fails only if the client has disconnected.
            let _ = self.out.send(item);
        }
    }

    fn send(&self, text: String) {
        if !text.is_empty() {
            // As in `finish`, fails only if the client has disconnected.
            let _ = self.out.send(Ok(Event::text(text)));
        }
    }
}
