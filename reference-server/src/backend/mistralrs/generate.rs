//! Runs a generation in a task of its own.
//!
//! The task reads all of the engine's replies, even after the client has disconnected (see
//! `quirks`), and holds the slot until the engine has stopped. The channel to the client is
//! unbounded, but receives at most a few short events for each token, so the maximum number of
//! tokens bounds it.
//!
//! The text comes from the tokens that the logits processor has sampled. The engine's replies only
//! say that there are new ones, and how an attempt has ended. Models whose channels mistral.rs
//! separates by token are the exception.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mistralrs::Response;
use tokio::sync::mpsc;

use super::{
    BackendError, Event, FinishReason, Usage, UsageMeter,
    admission::{Admission, Slot},
    coordinates::CoordinateMapper,
    cost::{Estimate, Work},
    engine::{self, Engine},
    grammar::Grammar,
    logit_bias::LogitBias,
    logits_processor::LogitsProcessor,
    output::{Item, Output},
    prompt::Prompt,
    quirks,
    sampler::Sampler,
    stop_filter::StopFilter,
    think_filter::ThinkFilter,
    tool_parser::ToolParser,
    validate,
};
use crate::chat::Sampling;

/// A generation to run.
pub(super) struct GenerationTask {
    pub(super) engine: Arc<Engine>,
    pub(super) prompt: Prompt,
    pub(super) sampling: Sampling,
    pub(super) seed: u64,
    /// The number of choices, which run one after the other.
    pub(super) choices: u32,
    /// The maximum number of tokens of a choice.
    pub(super) max_tokens: usize,
    pub(super) top_logprobs: Option<u8>,
    pub(super) thinking: Thinking,
    pub(super) grammar: Option<Grammar>,
    /// The field with the schema of the grammar.
    pub(super) schema_param: &'static str,
    /// The names of the tools that the model may call.
    pub(super) tools: Vec<String>,
    /// Whether the model may call only one tool.
    pub(super) single_call: bool,
    /// Maps the coordinates of a choice.
    pub(super) coordinates: Option<CoordinateMapper>,
    pub(super) slot: Slot,
    /// Learns from this generation.
    pub(super) admission: Arc<Admission>,
    /// When the request arrived.
    pub(super) arrival: Instant,
    pub(super) work: Work,
    pub(super) estimate: Estimate,
    /// The number of prompt tokens, counted before the generation starts.
    pub(super) prompt_tokens: usize,
    /// Receives the usage while the engine works.
    pub(super) meter: UsageMeter,
}

/// Whether the text of a model starts with its reasoning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Thinking {
    /// The model does not reason, or mistral.rs removes the reasoning.
    None,
    /// The reasoning is between tags.
    Tags,
    /// As `Tags`, and the prompt ends with the open tag.
    Open,
}

impl GenerationTask {
    /// Spawns the task; dropping the receiver stops the generation.
    pub(super) fn start(self) -> mpsc::UnboundedReceiver<Item> {
        let (out, items) = mpsc::unbounded_channel();
        tokio::spawn(self.run(out));
        items
    }

    async fn run(self, out: mpsc::UnboundedSender<Item>) {
        let start = Instant::now();
        let mut usage = Usage::default();
        let mut outcome = Ok(());
        for choice in 0..self.choices {
            outcome = self.run_choice(choice, &out, &mut usage).await;
            if outcome.is_err() || out.is_closed() {
                break;
            }
        }
        let metrics = &self.admission.metrics;
        metrics.generated(usage.completion_tokens);
        if outcome.is_ok() && !out.is_closed() {
            metrics.completed(self.arrival.elapsed(), start.elapsed(), self.estimate);
        }
        // Before the last event, so that a client that has received it finds the slot free.
        drop(self.slot);
        // Fails only if the client has disconnected.
        let _ = out.send(outcome.map(|()| Event::Done(usage)));
    }

    /// Runs a choice, and adds its tokens to the usage.
    async fn run_choice(
        &self,
        choice: u32,
        out: &mpsc::UnboundedSender<Item>,
        usage: &mut Usage,
    ) -> Result<(), BackendError> {
        let seed = self.seed.wrapping_add(choice.into());
        let processor = LogitsProcessor::new(
            Sampler::new(&self.sampling, seed),
            LogitBias::new(&self.sampling),
            &self.engine.info.eos_tokens,
            self.max_tokens,
        );
        let processor = processor
            .metered(self.meter.clone(), usage.completion_tokens)
            .with_logprobs(self.top_logprobs)
            .with_grammar(self.grammar.clone());
        let mut run = ChoiceRun {
            task: self,
            processor: Arc::new(processor),
            output: Output::new(
                choice,
                out.clone(),
                self.prompt.raw_tokens().is_some(),
                self.thinking.filter(),
                ToolParser::new(self.tools.clone(), self.single_call),
                StopFilter::new(self.sampling.stop.clone()),
            )
            .with_coordinates(self.coordinates.clone()),
            out,
            choice,
            is_first: choice == 0,
            timing: Timing::default(),
        };
        let finish = run.finish_reason().await;
        let progress = run.processor.progress();
        if finish.is_ok() && !out.is_closed() {
            run.timing.learn_writing(self, progress.generated);
        }
        usage.prompt_tokens = progress.prompt.max(usage.prompt_tokens);
        usage.completion_tokens += progress.generated;
        usage.reasoning_tokens += run.output.reasoning_tokens();
        run.output.finish(finish?);
        Ok(())
    }
}

impl Thinking {
    fn filter(self) -> ThinkFilter {
        match self {
            Self::None => ThinkFilter::disabled(),
            Self::Tags => ThinkFilter::new(false),
            Self::Open => ThinkFilter::new(true),
        }
    }
}

/// When the tokens of a choice arrived.
#[derive(Default)]
struct Timing {
    /// When the engine got the prompt.
    start: Option<Instant>,
    first: Option<Instant>,
    last: Option<Instant>,
}

impl Timing {
    /// Notes new tokens; returns the time that the engine has read, if they are the first ones.
    fn note(&mut self, now: Instant) -> Option<Duration> {
        self.last = Some(now);
        if self.first.is_some() {
            return None;
        }
        self.first = Some(now);
        self.start.map(|start| now - start)
    }

    /// Learns the speed and the length of a completion.
    fn learn_writing(&self, task: &GenerationTask, generated: usize) {
        task.admission.costs().learn_length(generated);
        if let (Some(first), Some(last), Some(more)) =
            (self.first, self.last, generated.checked_sub(1))
            && more > 0
        {
            let took = last - first;
            task.admission.costs().learn_writing(more, took);
            task.admission.metrics.tokens(more, took);
        }
    }
}

/// How an attempt ended.
enum AttemptEnd {
    Finished(FinishReason),
    Failed(String),
    Refused,
    /// The engine is stuck and has been given up.
    Stuck,
    /// The replies ended without a finish reason.
    NoReason,
}

/// The end with a finish reason of the engine.
fn end(reason: &str) -> AttemptEnd {
    AttemptEnd::Finished(match reason {
        "length" => FinishReason::Length,
        _ => FinishReason::Stop,
    })
}

/// A choice that runs.
struct ChoiceRun<'a> {
    task: &'a GenerationTask,
    processor: Arc<LogitsProcessor>,
    output: Output,
    out: &'a mpsc::UnboundedSender<Item>,
    choice: u32,
    /// Whether the prompt has not been charged yet.
    is_first: bool,
    timing: Timing,
}

impl ChoiceRun<'_> {
    /// Runs the attempts of the choice; returns why the last one ended.
    async fn finish_reason(&mut self) -> Result<FinishReason, BackendError> {
        let (engine, max_tokens) = (&self.task.engine, self.task.max_tokens);
        let mut attempts = 0;
        let max_attempts = if engine.info.can_continue {
            quirks::MAX_RESUMES
        } else {
            0
        };
        loop {
            let generated = self.processor.progress().generated;
            let remaining = max_tokens - generated.min(max_tokens);
            if remaining == 0 {
                return Ok(FinishReason::Length);
            }
            let prefix = (attempts > 0).then(|| self.output.text());
            let processor = self.processor.clone();
            self.task.slot.expect(self.task.estimate.reading);
            if attempts == 0 {
                self.timing.start = Some(Instant::now());
            }
            let started = engine.start(&self.task.prompt, prefix, processor, remaining);
            let replies = started.await?;
            if std::mem::take(&mut self.is_first) {
                // The engine has accepted the prompt and starts the prefill.
                let usage = Usage::new(self.task.prompt_tokens, 0);
                self.task.meter.report(usage);
            }
            let ended = self.follow(replies).await;
            if let Some(error) = self.processor.grammar_error() {
                return Err(validate::invalid_schema(self.task.schema_param, &error));
            }
            match ended {
                AttemptEnd::Finished(finish) => return Ok(finish),
                AttemptEnd::Refused => return Err(engine::refused()),
                AttemptEnd::Stuck => return Err(BackendError::Stuck),
                AttemptEnd::Failed(error)
                    if quirks::is_retokenisation_error(&error) && attempts < max_attempts =>
                {
                    attempts += 1;
                    self.processor.rollback(self.output.resume());
                    self.task.admission.metrics.resumed();
                }
                AttemptEnd::Failed(error) => {
                    engine::log("answer", &error);
                    return Err(BackendError::Engine);
                }
                AttemptEnd::NoReason => {
                    let progress = self.processor.progress();
                    let is_eos = |token| engine.info.eos_tokens.contains(token);
                    let last_is_eos = progress.last.is_some_and(is_eos);
                    let finish = quirks::infer_finish(progress.generated, max_tokens, last_is_eos);
                    return finish.ok_or(BackendError::Engine);
                }
            }
        }
    }

    /// Reads all replies of an attempt.
    async fn follow(&mut self, mut replies: mpsc::Receiver<Response>) -> AttemptEnd {
        // The first reply with a finish reason counts; others may follow (fault 9 in `quirks`).
        let mut ended = None;
        let mut disconnected = false;
        loop {
            let reply = tokio::select! {
                biased;
                () = self.out.closed(), if !disconnected => {
                    disconnected = true;
                    self.task.slot.drain();
                    self.processor.end();
                    continue;
                }
                reply = replies.recv() => reply,
                () = self.task.engine.given_up() => {
                    quirks::read_to_end(replies);
                    return AttemptEnd::Stuck;
                }
            };
            let Some(reply) = reply else { break };
            if ended.is_some() {
                continue;
            }
            match reply {
                Response::Chunk(chunk) => {
                    let Some(choice) = chunk.choices.into_iter().next() else {
                        // A chunk without choices has no token.
                        continue;
                    };
                    if self.task.engine.info.text_from_replies {
                        let delta = choice.delta;
                        let reasoning = delta.reasoning_content.unwrap_or_default();
                        self.output.send_reasoning(reasoning);
                        self.output.add_text(&delta.content.unwrap_or_default());
                    }
                    self.take_tokens();
                    ended = choice.finish_reason.map(|reason| end(&reason));
                }
                Response::CompletionChunk(chunk) => {
                    self.take_tokens();
                    let reasons = chunk.choices.into_iter().filter_map(|c| c.finish_reason);
                    ended = reasons.map(|reason| end(&reason)).next();
                }
                // The same for a raw prompt.
                Response::CompletionModelError(error, _) | Response::ModelError(error, _) => {
                    ended = Some(AttemptEnd::Failed(error))
                }
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
        // Fault 6 in `quirks`: the last tokens may have no reply.
        self.take_tokens();
        if self.output.is_stopped() || disconnected {
            // The output is complete, regardless of the other replies.
            return AttemptEnd::Finished(FinishReason::Stop);
        }
        ended.unwrap_or(AttemptEnd::NoReason)
    }

    /// Moves the new tokens to the output.
    fn take_tokens(&mut self) {
        let tokens = self.processor.take_sampled();
        if !tokens.is_empty() {
            self.task.slot.progressed();
            if let Some(took) = self.timing.note(Instant::now()) {
                self.learn_reading(took);
            }
        }
        let info = &self.task.engine.info;
        if !info.text_from_replies {
            self.output.add(tokens, &info.tokens);
        }
        if self.output.is_stopped() {
            self.processor.end();
        }
    }

    /// Learns from the time before the first token.
    fn learn_reading(&self, took: Duration) {
        let task = self.task;
        task.admission.metrics.read(task.prompt_tokens);
        if self.choice == 0 {
            task.admission.metrics.first_token(task.arrival.elapsed());
            task.admission.costs().learn_reading(&task.work, took);
        }
    }
}
