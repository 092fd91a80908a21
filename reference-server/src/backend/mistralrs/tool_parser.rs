//! Finds the tool calls in a text that arrives in pieces.
//!
//! A call is JSON between tags, with the name of a tool and its arguments. As soon as the name is
//! complete, the arguments are passed on as they arrive. Anything but a call of a known tool is text.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    think_filter::partial_len,
    tool_prompt::{CLOSE, OPEN},
};

/// Separates tool calls from the text.
#[derive(Debug)]
pub(super) struct ToolParser {
    /// The names of the tools; without tools everything is text.
    names: Vec<String>,
    /// Whether only one call is permitted.
    is_single: bool,
    state: State,
    pending: String,
    /// The whitespace before the call in `pending`.
    gap: String,
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// After the open tag, before the arguments.
    Head,
    Arguments(JsonEnd),
    /// After the arguments, before the close tag.
    Tail,
    /// After the only call.
    Done,
}

/// A part of the model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    /// The start of a call, with its index and the name of the tool.
    Call(u32, String),
    /// More of the arguments of a call, with its index.
    Arguments(u32, String),
}

#[derive(Deserialize)]
struct CallBody<'a> {
    name: String,
    #[serde(borrow)]
    arguments: &'a RawValue,
}

impl ToolParser {
    pub(super) fn new(names: Vec<String>, is_single: bool) -> Self {
        Self {
            names,
            is_single,
            state: State::Text,
            pending: String::new(),
            gap: String::new(),
            calls: 0,
        }
    }

    /// Whether a tool was called.
    pub(super) fn has_calls(&self) -> bool {
        self.calls > 0
    }

    /// Whether no further call is permitted, so that the answer is complete.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The length of the text that is held back, because it may be part of a call.
    pub(super) fn held(&self) -> usize {
        let tag = if self.state == State::Head {
            OPEN.len()
        } else {
            0
        };
        self.gap.len() + tag + self.pending.len()
    }

    /// Adds the next piece of text.
    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        if self.names.is_empty() {
            return vec![Piece::Text(text.to_owned())];
        }
        self.pending.push_str(text);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// Returns what is held back at the end.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        match self.state {
            State::Head => self.reject("", &mut pieces),
            // Only whitespace is held back between calls.
            State::Text if !self.has_calls() || !self.pending.trim().is_empty() => {
                let rest = std::mem::take(&mut self.pending);
                add_text(&mut pieces, rest);
            }
            _ => {}
        }
        pieces
    }

    /// Processes what is pending; returns whether there may be more to do.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Text => self.find_call(pieces),
            State::Head => self.read_head(pieces),
            State::Arguments(end) => self.read_arguments(end, pieces),
            State::Tail => self.find_close(),
            State::Done => false,
        }
    }

    fn find_call(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let at = self.pending.find(OPEN);
        let end = at.unwrap_or(self.pending.len() - partial_len(&self.pending, OPEN));
        // The whitespace before a call is not part of the text.
        let text = self.pending[..end].trim_end().to_owned();
        let rest = self.pending.split_off(text.len());
        self.pending = rest;
        add_text(pieces, text);
        if at.is_none() {
            return false;
        }
        let start = self.pending.find(OPEN).unwrap_or_default();
        self.gap = self.pending[..start].to_owned();
        self.pending.drain(..start + OPEN.len());
        self.state = State::Head;
        true
    }

    fn read_head(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if let Some((name, start)) = head(&self.pending)
            && self.names.contains(&name)
        {
            self.pending.drain(..start);
            self.accept(name, pieces);
            self.state = State::Arguments(JsonEnd::default());
            return true;
        }
        let Some(at) = self.pending.find(CLOSE) else {
            return false;
        };
        let body = self.pending[..at].to_owned();
        self.pending.drain(..at + CLOSE.len());
        match serde_json::from_str::<CallBody<'_>>(body.trim()) {
            Ok(call) if self.names.contains(&call.name) => {
                self.accept(call.name, pieces);
                // Some models write the arguments as a string of JSON.
                let raw = call.arguments.get();
                let text = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
                if !text.is_empty() {
                    pieces.push(Piece::Arguments(self.calls - 1, text));
                }
                self.close();
            }
            _ => {
                let rest = std::mem::replace(&mut self.pending, body);
                self.reject(CLOSE, pieces);
                self.pending = rest;
            }
        }
        true
    }

    fn read_arguments(&mut self, mut end: JsonEnd, pieces: &mut Vec<Piece>) -> bool {
        let at = self.pending.char_indices().find(|&(_, c)| end.add(c));
        let (length, state) = match at {
            Some((at, c)) => (at + c.len_utf8(), State::Tail),
            None => (self.pending.len(), State::Arguments(end)),
        };
        let rest = self.pending.split_off(length);
        let text = std::mem::replace(&mut self.pending, rest);
        if !text.is_empty() {
            pieces.push(Piece::Arguments(self.calls - 1, text));
        }
        self.state = state;
        at.is_some()
    }

    fn find_close(&mut self) -> bool {
        if let Some(at) = self.pending.find(CLOSE) {
            self.pending.drain(..at + CLOSE.len());
            self.close();
            return true;
        }
        let kept = partial_len(&self.pending, CLOSE);
        self.pending.drain(..self.pending.len() - kept);
        false
    }

    fn accept(&mut self, name: String, pieces: &mut Vec<Piece>) {
        self.gap.clear();
        pieces.push(Piece::Call(self.calls, name));
        self.calls += 1;
    }

    fn close(&mut self) {
        self.state = if self.is_single {
            State::Done
        } else {
            State::Text
        };
    }

    /// Passes what looked like a call as text.
    fn reject(&mut self, end: &str, pieces: &mut Vec<Piece>) {
        let gap = std::mem::take(&mut self.gap);
        let body = std::mem::take(&mut self.pending);
        add_text(pieces, format!("{gap}{OPEN}{body}{end}"));
        self.state = State::Text;
    }
}

fn add_text(pieces: &mut Vec<Piece>, text: String) {
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
}

/// The name of a tool, and where the object with its arguments starts, if a text starts with them.
fn head(text: &str) -> Option<(String, usize)> {
    let rest = after(text, "{")?;
    let rest = after(after(rest, "\"name\"")?, ":")?.trim_start();
    let mut names = serde_json::Deserializer::from_str(rest).into_iter::<String>();
    let name = names.next()?.ok()?;
    let rest = after(rest.get(names.byte_offset()..)?, ",")?;
    let rest = after(after(rest, "\"arguments\"")?, ":")?.trim_start();
    rest.starts_with('{')
        .then(|| (name, text.len() - rest.len()))
}

/// The text after a token and the whitespace before it.
fn after<'a>(text: &'a str, token: &str) -> Option<&'a str> {
    text.trim_start().strip_prefix(token)
}

/// Finds the end of a JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct JsonEnd {
    depth: u32,
    is_string: bool,
    is_escaped: bool,
}

impl JsonEnd {
    /// Adds a character; returns whether it ends the object.
    fn add(&mut self, c: char) -> bool {
        if self.is_escaped {
            self.is_escaped = false;
            return false;
        }
        match c {
            '\\' if self.is_string => self.is_escaped = true,
            '"' => self.is_string = !self.is_string,
            '{' | '[' if !self.is_string => self.depth += 1,
            '}' | ']' if !self.is_string => {
                self.depth = self.depth.saturating_sub(1);
                return self.depth == 0;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests;
