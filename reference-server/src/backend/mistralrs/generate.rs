//! One answer, from the place it takes to its last word.
//!
//! A task of its own reads the engine's replies, because they must be read to the last
//! even when the client has left (see `quirks`). It holds the answer's place in the queue
//! until the engine is done with it. What it passes on is never more than one short text a
//! token, so the channel to the client is bounded by the answer's own limit.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use mistralrs::Response;
use tokio::sync::mpsc;

use super::{
    BackendError, Event, Finish, Meter, Usage,
    admission::Place,
    engine::{self, Engine},
    prompt::Prompt,
    quirks,
    sampling::Draw,
    steer::Steer,
    stop::{Passed, StopFilter},
};

/// What an answer passes on.
pub(super) type Item = Result<Event, BackendError>;

/// An answer to be made.
pub(super) struct Job {
    pub(super) engine: Arc<Engine>,
    pub(super) prompt: Prompt,
    pub(super) draw: Draw,
    pub(super) max_tokens: usize,
    pub(super) stop: StopFilter,
    pub(super) place: Place,
    /// Counts the times answers were resumed (fault 4 in `quirks`).
    pub(super) resumes: Arc<AtomicU64>,
    /// Counted before the engine is asked.
    pub(super) prompt_tokens: usize,
    /// Counts while the engine works.
    pub(super) meter: Meter,
}

impl Job {
    /// Starts the answer; dropping the receiver ends it.
    pub(super) fn start(self) -> mpsc::UnboundedReceiver<Item> {
        let (out, items) = mpsc::unbounded_channel();
        tokio::spawn(self.run(out));
        items
    }

    async fn run(self, out: mpsc::UnboundedSender<Item>) {
        let mut answer = Answer {
            stop: self.stop,
            out,
            text: String::new(),
            usage: Usage::default(),
            stopped: false,
        };
        let mut attempts = 0;
        let most = if self.engine.facts.open_end {
            quirks::MAX_RESUMES
        } else {
            0
        };
        let last = loop {
            let left = self.max_tokens - answer.usage.completion_tokens.min(self.max_tokens);
            if left == 0 {
                break Ok(Finish::Length);
            }
            let steer = Steer::new(
                self.draw,
                &self.engine.facts.ends,
                answer.usage.completion_tokens,
                self.max_tokens,
            );
            let prompt = (attempts > 0).then_some(answer.usage.prompt_tokens);
            let steer = Arc::new(steer.metered(self.meter.clone(), prompt));
            let beginning = (attempts > 0).then_some(answer.text.as_str());
            let started = self
                .engine
                .start(&self.prompt, beginning, steer.clone(), left);
            let ended = match started.await {
                Ok(replies) => {
                    if attempts == 0 {
                        // The engine has the prompt and begins to read it.
                        self.meter.report(Usage {
                            prompt_tokens: self.prompt_tokens,
                            completion_tokens: 0,
                        });
                    }
                    answer
                        .follow(replies, &steer, &self.engine, attempts > 0)
                        .await
                }
                Err(error) => break Err(error),
            };
            let progress = steer.progress();
            if attempts == 0 {
                answer.usage.prompt_tokens = progress.prompt;
            }
            answer.usage.completion_tokens = progress.made;
            match ended {
                Ended::Finished(finish) => break Ok(finish),
                Ended::Refused => break Err(engine::refused()),
                Ended::Failed(error) if quirks::is_retokenising(&error) && attempts < most => {
                    attempts += 1;
                    self.resumes.fetch_add(1, Ordering::Relaxed);
                }
                Ended::Failed(error) => {
                    engine::log("answer", &error);
                    break Err(BackendError::Engine);
                }
                Ended::Silently => {
                    let ends = |token| self.engine.facts.ends.contains(token);
                    let last_ends = progress.last.is_some_and(ends);
                    let finish = quirks::ended_silently(progress.made, self.max_tokens, last_ends);
                    break finish.ok_or(BackendError::Engine);
                }
            }
        };
        // Before the last word, so that whoever has heard it finds the place free.
        drop(self.place);
        answer.finish(last);
    }
}

/// How the replies to one attempt ended.
enum Ended {
    Finished(Finish),
    Failed(String),
    Refused,
    /// No reply said so.
    Silently,
}

/// What has been made so far.
struct Answer {
    stop: StopFilter,
    out: mpsc::UnboundedSender<Item>,
    /// All text of the model, what the stop filter holds back included.
    text: String,
    usage: Usage,
    /// A stop string was found.
    stopped: bool,
}

impl Answer {
    /// Reads one attempt's replies to the last.
    async fn follow(
        &mut self,
        mut replies: mpsc::Receiver<Response>,
        steer: &Steer,
        engine: &Engine,
        resumed: bool,
    ) -> Ended {
        // The first that says so, for replies may follow (fault 9 in `quirks`).
        let mut ended = None;
        let mut at_start = resumed;
        let mut left = false;
        loop {
            let reply = tokio::select! {
                biased;
                () = self.out.closed(), if !left => {
                    left = true;
                    steer.end();
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
                        // A chunk without a choice has no text.
                        continue;
                    };
                    let mut text = choice.delta.content.unwrap_or_default();
                    if std::mem::take(&mut at_start) {
                        let first = steer.progress().first;
                        let space =
                            first.map(|t| quirks::stripped_space(&engine.facts.tokenizer, t));
                        text.insert_str(0, &space.unwrap_or_default());
                    }
                    self.add(&text, steer);
                    if let Some(reason) = choice.finish_reason {
                        ended = Some(Ended::Finished(match reason.as_str() {
                            "length" => Finish::Length,
                            _ => Finish::Stop,
                        }));
                    }
                }
                Response::ModelError(error, _) => ended = Some(Ended::Failed(error)),
                Response::InternalError(error) => ended = Some(Ended::Failed(error.to_string())),
                Response::ValidationError(error) => {
                    engine::log("validation", &error.to_string());
                    ended = Some(Ended::Refused);
                }
                // The rest answers kinds of requests this backend never sends.
                _ => {}
            }
        }
        if self.stopped || left {
            // The answer has all it will have, whatever happened after.
            return Ended::Finished(Finish::Stop);
        }
        ended.unwrap_or(Ended::Silently)
    }

    fn add(&mut self, text: &str, steer: &Steer) {
        if self.stopped {
            return;
        }
        self.text.push_str(text);
        let passed = match self.stop.push(text) {
            Passed::Open(text) => text,
            Passed::Stopped(text) => {
                self.stopped = true;
                steer.end();
                text
            }
        };
        self.send(passed);
    }

    fn finish(mut self, last: Result<Finish, BackendError>) {
        let item = last.map(|finish| {
            let rest = self.stop.finish();
            self.send(rest);
            let usage = self.usage;
            Event::Done { finish, usage }
        });
        // A client that has left hears nothing, which is as it wants it.
        let _ = self.out.send(item);
    }

    fn send(&self, text: String) {
        if !text.is_empty() {
            // As in `finish`: a client that has left reads nothing.
            let _ = self.out.send(Ok(Event::Text(text)));
        }
    }
}
