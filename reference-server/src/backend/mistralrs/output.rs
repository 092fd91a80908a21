//! The output of a choice: from sampled tokens to events.
//!
//! 1. The bytes of the tokens are decoded to whole characters.
//! 2. The reasoning is separated from the answer.
//! 3. Tool calls are separated from the text.
//! 4. The text ends before the first stop sequence.
//! 5. Coordinates are mapped, if the operator wants it.
//!
//! Each step may hold text back. The log probabilities of a token are sent with the text that the
//! token starts; those of tokens without a part in the answer are discarded.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::{
    BackendError, Event, FinishReason,
    coordinates::CoordinateMapper,
    logits_processor::SampledToken,
    stop_filter::{Filtered, StopFilter},
    think_filter::ThinkFilter,
    token_table::TokenTable,
    tool_parser::{Piece, ToolParser},
    utf8_decoder::Utf8Decoder,
};
use crate::chat::TokenLogprob;

/// An item of the generation's stream.
pub(super) type Item = Result<Event, BackendError>;

/// The output of a choice so far.
pub(super) struct Output {
    choice: u32,
    out: mpsc::UnboundedSender<Item>,
    decoder: Utf8Decoder,
    think: ThinkFilter,
    tools: ToolParser,
    stop: StopFilter,
    coordinates: Option<CoordinateMapper>,
    /// All text of the model, including what the filters hold back.
    text: String,
    /// Whether the next token follows others of the same text.
    has_tokens: bool,
    /// The log probabilities of tokens that have not been sent, and where their text starts.
    logprobs: VecDeque<(usize, TokenLogprob)>,
    /// The number of tokens since the last complete character.
    pending_tokens: usize,
    reasoning_tokens: usize,
    is_stopped: bool,
    /// The last tool call.
    call: Option<u32>,
    /// The stop sequence that ended the text.
    stop_sequence: Option<String>,
}

impl Output {
    /// Creates an output; `continues` if it continues a text, in the middle of which a space is
    /// not only the mark of a word.
    pub(super) fn new(
        choice: u32,
        out: mpsc::UnboundedSender<Item>,
        continues: bool,
        think: ThinkFilter,
        tools: ToolParser,
        stop: StopFilter,
    ) -> Self {
        Self {
            choice,
            out,
            decoder: Utf8Decoder::default(),
            think,
            tools,
            stop,
            coordinates: None,
            text: String::new(),
            has_tokens: continues,
            logprobs: VecDeque::new(),
            pending_tokens: 0,
            reasoning_tokens: 0,
            is_stopped: false,
            call: None,
            stop_sequence: None,
        }
    }

    /// Maps the coordinates of the answer.
    pub(super) fn with_coordinates(self, coordinates: Option<CoordinateMapper>) -> Self {
        Self {
            coordinates,
            ..self
        }
    }

    /// All text of the model.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The number of tokens in the reasoning.
    pub(super) fn reasoning_tokens(&self) -> usize {
        self.reasoning_tokens
    }

    /// Whether the answer is complete: a stop sequence was found, or the only call has ended.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Adds the next tokens.
    pub(super) fn add(&mut self, tokens: Vec<SampledToken>, table: &TokenTable) {
        for SampledToken { token, logprobs } in tokens {
            if self.is_stopped {
                return;
            }
            let bytes = table.text(token, !self.has_tokens);
            self.has_tokens = true;
            let text = self.decoder.push(bytes);
            self.pending_tokens = match self.decoder.held() {
                0 => 0,
                held if held <= bytes.len() => 1,
                _ => self.pending_tokens + 1,
            };
            if let Some(logprobs) = logprobs {
                let is_pending = !bytes.is_empty() && self.decoder.held() >= bytes.len();
                let start = self.text.len() + if is_pending { text.len() } else { 0 };
                let logprob = logprobs.with_texts(token, table);
                self.logprobs.push_back((start, logprob));
            }
            self.add_text(&text);
            self.reasoning_tokens += usize::from(self.think.is_reasoning());
        }
    }

    /// Adds the next text.
    pub(super) fn add_text(&mut self, text: &str) {
        if self.is_stopped {
            return;
        }
        self.text.push_str(text);
        let split = self.think.push(text);
        self.send_reasoning(split.reasoning);
        self.add_answer(&split.answer);
    }

    fn add_answer(&mut self, answer: &str) {
        let pieces = self.tools.push(answer);
        self.add_pieces(pieces);
        self.is_stopped |= self.tools.is_done();
    }

    fn add_pieces(&mut self, pieces: Vec<Piece>) {
        let choice = self.choice;
        for piece in pieces {
            if self.is_stopped {
                return;
            }
            match piece {
                Piece::Text(text) => self.add_content(&text),
                Piece::Call(call, name) => {
                    // Stop sequences do not match across calls.
                    let rest = self.stop.finish();
                    self.send_text(rest, self.settled(0));
                    self.end_coordinates();
                    let id = format!("call_{:016x}", rand::random::<u64>());
                    self.call = Some(call);
                    self.send(Event::ToolCall {
                        choice,
                        call,
                        id,
                        name,
                    });
                }
                Piece::Arguments(call, text) => {
                    let text = match &mut self.coordinates {
                        Some(mapper) => mapper.arguments(&text),
                        None => text,
                    };
                    self.send_arguments(call, text);
                }
            }
        }
        // Discards the log probabilities of tokens without text.
        self.send_text(String::new(), self.settled(0));
    }

    fn add_content(&mut self, text: &str) {
        let (passed, dropped) = match self.stop.push(text) {
            Filtered::Pass(text) => (text, 0),
            Filtered::Stopped {
                text,
                stop,
                dropped,
            } => {
                self.is_stopped = true;
                self.stop_sequence = Some(stop);
                (text, dropped)
            }
        };
        self.send_text(passed, self.settled(dropped));
    }

    /// The length of the text that is not held back, nor `dropped` from its end.
    fn settled(&self, dropped: usize) -> usize {
        let held = self.think.held() + self.tools.held() + self.stop.held() + dropped;
        self.text.len().saturating_sub(held)
    }

    /// Prepares the continuation of the text by another attempt; returns the number of tokens that
    /// are not part of the text, because they are an incomplete character.
    pub(super) fn resume(&mut self) -> usize {
        self.decoder.clear();
        let end = self.text.len();
        self.logprobs.retain(|&(start, _)| start < end);
        std::mem::take(&mut self.pending_tokens)
    }

    /// Sends the text that is still held back, and the end of the choice.
    pub(super) fn finish(&mut self, reason: FinishReason) {
        if !self.is_stopped {
            let rest = self.think.finish();
            self.send_reasoning(rest.reasoning);
            self.add_answer(&rest.answer);
            let rest = self.tools.finish();
            self.add_pieces(rest);
        }
        if !self.is_stopped {
            let rest = self.stop.finish();
            self.send_text(rest, usize::MAX);
        }
        self.end_coordinates();
        let stop = self.stop_sequence.take();
        let reason = match stop.map_or(reason, FinishReason::StopSequence) {
            FinishReason::Stop | FinishReason::StopSequence(_) if self.tools.has_calls() => {
                FinishReason::ToolCalls
            }
            reason => reason,
        };
        self.send(Event::Finish {
            choice: self.choice,
            reason,
        });
    }

    pub(super) fn send_reasoning(&self, text: String) {
        if !text.is_empty() {
            self.send(Event::Reasoning {
                choice: self.choice,
                text,
            });
        }
    }

    fn send_arguments(&self, call: u32, text: String) {
        if !text.is_empty() {
            self.send(Event::ToolArguments {
                choice: self.choice,
                call,
                text,
            });
        }
    }

    /// Sends what the mapper of coordinates holds back: no more follows in the same text, or in
    /// the same call.
    fn end_coordinates(&mut self) {
        let Some(mapper) = &mut self.coordinates else {
            return;
        };
        let (text, arguments) = (mapper.end_text(), mapper.end_arguments());
        if let Some(call) = self.call.take() {
            self.send_arguments(call, arguments);
        }
        self.send_mapped(text, self.settled(0));
    }

    /// Sends a part of the answer; the model's text up to `settled` is no longer held back.
    fn send_text(&mut self, text: String, settled: usize) {
        let Some(mapper) = &mut self.coordinates else {
            return self.send_mapped(text, settled);
        };
        let mut text = mapper.text(&text);
        let settled = if settled == usize::MAX {
            text.push_str(&mapper.end_text());
            settled
        } else {
            settled.saturating_sub(mapper.held())
        };
        self.send_mapped(text, settled);
    }

    fn send_mapped(&mut self, text: String, settled: usize) {
        let count = self.logprobs.partition_point(|&(start, _)| start < settled);
        let logprobs: Vec<_> = self.logprobs.drain(..count).map(|(_, l)| l).collect();
        let is_last = settled == usize::MAX;
        let has_answer = !self.think.is_reasoning() && !self.tools.has_calls();
        if !text.is_empty() || (is_last && !logprobs.is_empty() && has_answer) {
            self.send(Event::Text {
                choice: self.choice,
                text,
                logprobs,
            });
        }
    }

    fn send(&self, event: Event) {
        // Fails only if the client has disconnected.
        let _ = self.out.send(Ok(event));
    }
}
