//! The grammar's outer part: values, objects and arrays.

use stockade_core::Refusal;

use super::{
    JsonLimits, Number, Text,
    fault::{Fault, FaultKind},
    keys::Keys,
    number, text,
};

/// Judges a JSON text while it is read, and may stop the reading at any step.
///
/// What it is shown is valid so far; that the whole text is valid is known when [`scan`]
/// returns.
pub(crate) trait Visitor {
    /// An object or an array begins, at this byte.
    fn begin(&mut self, container: Container, at: usize) -> Result<(), Refusal>;

    /// A member begins; its name is unescaped, in UTF-8.
    fn member(&mut self, key: &[u8]) -> Result<(), Refusal>;

    /// The element of this number begins.
    fn element(&mut self, index: u32) -> Result<(), Refusal>;

    /// A value that is neither object nor array.
    fn scalar(&mut self, scalar: Scalar<'_>) -> Result<(), Refusal>;

    /// The innermost object or array has ended, before this byte.
    fn end(&mut self, at: usize) -> Result<(), Refusal>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    Object,
    Array,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Null,
    Boolean,
    Number(Number<'a>),
    String(Text<'a>),
}

/// Reads a JSON text from its first byte to its last, once, without recursion.
///
/// All that the grammar has is taken, and nothing else: no byte order mark, no encoding
/// but UTF-8, no half of a surrogate pair, no second member of a name.
pub(crate) fn scan<V>(bytes: &[u8], limits: JsonLimits, visitor: &mut V) -> Result<(), Refusal>
where
    V: Visitor,
{
    let scanner = Scanner {
        bytes,
        at: 0,
        limits,
        values: 0,
        keys: Keys::default(),
        open: Vec::new(),
    };
    scanner.run(visitor)
}

struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
    limits: JsonLimits,
    /// Values that have begun.
    values: u32,
    keys: Keys,
    open: Vec<Frame>,
}

/// An object or an array that has not ended.
struct Frame {
    container: Container,
    /// Members or elements that have begun.
    count: u32,
    /// Where the names of its members begin.
    keys: usize,
}

/// What follows a value.
enum After {
    /// Another one.
    Value,
    /// The end of the object or array that it is in.
    End,
    /// Nothing: the text is read.
    Nothing,
}

impl Scanner<'_> {
    fn run<V>(mut self, visitor: &mut V) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        loop {
            self.value(visitor)?;
            loop {
                match self.after_value(visitor)? {
                    After::Value => break,
                    After::End => {}
                    After::Nothing => return Ok(()),
                }
            }
        }
    }

    /// Reads a scalar, or the beginning of an object or an array up to its first value; an
    /// empty one to its end.
    fn value<V>(&mut self, visitor: &mut V) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        loop {
            self.values = self.values.saturating_add(1);
            if self.values > self.limits.values {
                return Err(FaultKind::Values(self.limits.values).at(self.at).into());
            }
            match self.peek() {
                Some(b'"') => {
                    let text = self.string()?;
                    return visitor.scalar(Scalar::String(text));
                }
                Some(b'{') => {
                    self.begin(Container::Object, visitor)?;
                    if self.peek() == Some(b'}') {
                        return self.end(visitor);
                    }
                    self.member(visitor)?;
                }
                Some(b'[') => {
                    self.begin(Container::Array, visitor)?;
                    if self.peek() == Some(b']') {
                        return self.end(visitor);
                    }
                    self.element(visitor)?;
                }
                Some(b'-' | b'0'..=b'9') => {
                    let (number, end) = number::scan(self.bytes, self.at)?;
                    self.at = end;
                    return visitor.scalar(Scalar::Number(number));
                }
                Some(b't') => return self.word(b"true", Scalar::Boolean, visitor),
                Some(b'f') => return self.word(b"false", Scalar::Boolean, visitor),
                Some(b'n') => return self.word(b"null", Scalar::Null, visitor),
                _ => return Err(self.syntax("a value").into()),
            }
        }
    }

    /// Reads what follows a value.
    fn after_value<V>(&mut self, visitor: &mut V) -> Result<After, Refusal>
    where
        V: Visitor,
    {
        let byte = self.peek();
        match (self.open.last().map(|frame| frame.container), byte) {
            (None, None) => return Ok(After::Nothing),
            (None, _) => return Err(self.syntax("the end").into()),
            (Some(Container::Object), Some(b',')) => {
                self.at += 1;
                self.member(visitor)?;
            }
            (Some(Container::Array), Some(b',')) => {
                self.at += 1;
                self.element(visitor)?;
            }
            (Some(Container::Object), Some(b'}')) | (Some(Container::Array), Some(b']')) => {
                self.end(visitor)?;
                return Ok(After::End);
            }
            _ => return Err(self.syntax("a comma or an end").into()),
        }
        Ok(After::Value)
    }

    fn begin<V>(&mut self, container: Container, visitor: &mut V) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        if self.open.len() >= self.limits.depth {
            return Err(FaultKind::Depth(self.limits.depth).at(self.at).into());
        }
        visitor.begin(container, self.at)?;
        self.open.push(Frame {
            container,
            count: 0,
            keys: self.keys.mark(),
        });
        self.at += 1;
        Ok(())
    }

    /// Reads a member up to its value.
    fn member<V>(&mut self, visitor: &mut V) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        let limit = self.limits.members;
        if self.count() > limit {
            return Err(FaultKind::Members(limit).at(self.at).into());
        }
        if self.peek() != Some(b'"') {
            return Err(self.syntax("a member's name").into());
        }
        let key = self.string()?.unescaped();
        self.keys.push(&key);
        if self.peek() != Some(b':') {
            return Err(self.syntax("a colon").into());
        }
        self.at += 1;
        visitor.member(&key)
    }

    fn element<V>(&mut self, visitor: &mut V) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        let limit = self.limits.elements;
        let count = self.count();
        if count > limit {
            return Err(FaultKind::Elements(limit).at(self.at).into());
        }
        visitor.element(count - 1)
    }

    /// Counts one more member or element.
    fn count(&mut self) -> u32 {
        let frame = self.open.last_mut().expect("within an object or an array");
        frame.count = frame.count.saturating_add(1);
        frame.count
    }

    fn end<V>(&mut self, visitor: &mut V) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        self.at += 1;
        let frame = self.open.pop().expect("within an object or an array");
        visitor.end(self.at)?;
        if self.keys.close(frame.keys) {
            Ok(())
        } else {
            Err(FaultKind::DuplicateKey.at(self.at).into())
        }
    }

    fn word<V>(
        &mut self,
        word: &'static [u8],
        scalar: Scalar<'_>,
        visitor: &mut V,
    ) -> Result<(), Refusal>
    where
        V: Visitor,
    {
        if !self.bytes[self.at..].starts_with(word) {
            return Err(self.syntax("a value").into());
        }
        self.at += word.len();
        visitor.scalar(scalar)
    }
}

impl<'a> Scanner<'a> {
    /// Reads the string whose quote is next.
    fn string(&mut self) -> Result<Text<'a>, Fault> {
        let (text, end) = text::scan(self.bytes, self.at + 1)?;
        self.at = end;
        Ok(text)
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    fn syntax(&self, wanted: &'static str) -> Fault {
        FaultKind::Syntax(wanted).at(self.at)
    }
}
