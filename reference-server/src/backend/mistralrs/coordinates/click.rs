//! Maps `Click(x, y)` in a text.

use super::{Axis, CoordinateSpace, MAX_NUMBER, Place};

const OPEN: &str = "Click(";

/// The most spaces in one place of a click.
const MAX_SPACES: usize = 4;

/// Maps the clicks of a text.
#[derive(Clone, Debug)]
pub(super) struct ClickMapper {
    space: CoordinateSpace,
    /// What may be the start of a click.
    held: String,
    /// Whether the last character before `held` is part of a name.
    follows_name: bool,
}

/// What a text starts with.
enum Start {
    /// A click of this length, and its replacement.
    Click(usize, String),
    /// The whole text may be the start of a click.
    Partial,
    /// No click.
    Other,
}

impl ClickMapper {
    pub(super) fn new(space: CoordinateSpace) -> Self {
        Self {
            space,
            held: String::new(),
            follows_name: false,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> String {
        let mut input = std::mem::take(&mut self.held);
        input.push_str(text);
        let mut out = String::new();
        let mut rest = input.as_str();
        while let Some(at) = rest.find(OPEN.as_bytes()[0] as char) {
            self.pass(&rest[..at], &mut out);
            rest = &rest[at..];
            match self.start(rest) {
                Start::Click(length, mapped) => {
                    out.push_str(&mapped);
                    self.follows_name = false;
                    rest = &rest[length..];
                }
                Start::Partial => {
                    self.held = rest.to_owned();
                    return out;
                }
                Start::Other => {
                    self.pass(&rest[..1], &mut out);
                    rest = &rest[1..];
                }
            }
        }
        self.pass(rest, &mut out);
        out
    }

    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    pub(super) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    fn pass(&mut self, text: &str, out: &mut String) {
        if let Some(last) = text.chars().last() {
            self.follows_name = last.is_alphanumeric() || last == '_';
        }
        out.push_str(text);
    }

    fn start(&self, text: &str) -> Start {
        if self.follows_name {
            return Start::Other;
        }
        match self.click(text) {
            Ok((rest, mapped)) => Start::Click(text.len() - rest.len(), mapped),
            Err(start) => start,
        }
    }

    /// Parses a click; returns the text after it, and its replacement.
    fn click<'a>(&self, text: &'a str) -> Result<(&'a str, String), Start> {
        let mut mapped = OPEN.to_owned();
        let mut rest = literal(text, OPEN)?;
        for (axis, end) in [(Axis::X, ","), (Axis::Y, ")")] {
            rest = spaces(rest, &mut mapped)?;
            let (number, after) = number(rest)?;
            let number = self.space.map(axis, Place::Pixel, number);
            mapped.push_str(&number.ok_or(Start::Other)?);
            rest = literal(spaces(after, &mut mapped)?, end)?;
            mapped.push_str(end);
        }
        Ok((rest, mapped))
    }
}

fn literal<'a>(text: &'a str, literal: &str) -> Result<&'a str, Start> {
    match text.strip_prefix(literal) {
        Some(rest) => Ok(rest),
        None if literal.starts_with(text) => Err(Start::Partial),
        None => Err(Start::Other),
    }
}

/// Copies spaces; returns the text after them, which is not empty.
fn spaces<'a>(text: &'a str, mapped: &mut String) -> Result<&'a str, Start> {
    let rest = text.trim_start_matches(' ');
    let spaces = &text[..text.len() - rest.len()];
    if spaces.len() > MAX_SPACES {
        return Err(Start::Other);
    }
    if rest.is_empty() {
        return Err(Start::Partial);
    }
    mapped.push_str(spaces);
    Ok(rest)
}

/// Splits a number from the text after it, which is not empty.
fn number(text: &str) -> Result<(&str, &str), Start> {
    let is_end = |c: char| !(c.is_ascii_digit() || matches!(c, '-' | '.'));
    match text.find(is_end) {
        Some(end) if end <= MAX_NUMBER => Ok(text.split_at(end)),
        None if text.len() <= MAX_NUMBER => Err(Start::Partial),
        _ => Err(Start::Other),
    }
}
