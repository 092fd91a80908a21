//! What a JSON text is made of, between its objects and arrays.

use super::{Scalar, Text, fault::FaultKind, number, text};
use crate::{
    effort::{Effort, Spent},
    halt::Halt,
};

/// How many bytes that are looked at one by one are a step.
const NARROW: usize = 16;

/// A JSON text with a place in it.
pub(super) struct Tokens<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    pub(super) effort: &'a Effort,
}

impl<'a> Tokens<'a> {
    /// Reads the string whose quote is next.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Halt> {
        let text = text::scan(self.bytes, self.at + 1, self.effort)?;
        self.at += text.raw().len() + 2;
        Ok(text)
    }

    /// Reads a scalar that is no string.
    pub(super) fn other_scalar(&mut self) -> Result<Scalar<'a>, Halt> {
        match self.bytes.get(self.at) {
            Some(b'-' | b'0'..=b'9') => {
                let (number, end) = number::scan(self.bytes, self.at)?;
                self.effort.spend((end - self.at) / NARROW)?;
                self.at = end;
                Ok(Scalar::Number(number))
            }
            Some(b't') => self.word(b"true", Scalar::Boolean),
            Some(b'f') => self.word(b"false", Scalar::Boolean),
            Some(b'n') => self.word(b"null", Scalar::Null),
            _ => Err(self.syntax("a value")),
        }
    }

    fn word(&mut self, word: &'static [u8], scalar: Scalar<'a>) -> Result<Scalar<'a>, Halt> {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.syntax("a value"));
        }
        self.at += word.len();
        Ok(scalar)
    }

    /// The next byte that is no white space.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Result<Option<u8>, Spent> {
        match self.bytes.get(self.at) {
            Some(0..=b' ') => self.skip_space(),
            byte => Ok(byte.copied()),
        }
    }

    fn skip_space(&mut self) -> Result<Option<u8>, Spent> {
        for block in self.bytes[self.at..].chunks(NARROW) {
            let is_space = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
            let length = block.iter().take_while(|byte| is_space(byte)).count();
            self.at += length;
            if length < block.len() {
                break;
            }
            self.effort.spend(1)?;
        }
        Ok(self.bytes.get(self.at).copied())
    }

    #[cold]
    pub(super) fn syntax(&self, wanted: &'static str) -> Halt {
        FaultKind::Syntax(wanted).at(self.at).into()
    }
}
