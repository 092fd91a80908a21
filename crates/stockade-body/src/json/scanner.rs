//! The grammar's outer part: values, objects and arrays.

use smallvec::SmallVec;
use stockade_core::Refusal;

use super::{
    JsonLimits, Number, Text,
    fault::FaultKind,
    keys::{Key, Keys, Known, Names},
    number, text,
};
use crate::{
    effort::{Effort, Spent},
    halt::Halt,
};

/// How many bytes that are looked at one by one are a step.
const NARROW: usize = 16;

/// Judges a JSON text while it is read, and may stop the reading at any step.
///
/// What it is shown is valid so far; that the whole text is valid is known when [`scan`]
/// returns.
pub(crate) trait Visitor {
    /// What it keeps of an object or an array that is open.
    type Frame: Copy;

    /// What is around the whole text.
    fn outside(&self) -> Self::Frame;

    /// An object or an array begins, at this byte.
    fn begin(&mut self, container: Container, at: usize) -> Result<Self::Frame, Halt>;

    /// A member begins. Says which of the names that it knows there this is.
    fn member(&mut self, frame: &mut Self::Frame, key: Key<'_>) -> Result<Known, Halt>;

    /// The element of this number begins.
    fn element(&mut self, frame: &mut Self::Frame, index: u32) -> Result<(), Halt>;

    /// A value that is neither object nor array.
    fn scalar(&mut self, frame: &mut Self::Frame, scalar: Scalar<'_>) -> Result<(), Halt>;

    /// An object or an array has ended, before this byte.
    fn end(&mut self, frame: &Self::Frame, at: usize) -> Result<(), Halt>;

    /// Says where the refusal is about: in what is open, outermost first.
    fn locate(&self, refusal: Refusal, open: impl Iterator<Item = Self::Frame>) -> Refusal;
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
pub(crate) fn scan<V>(
    bytes: &[u8],
    limits: JsonLimits,
    effort: &Effort,
    visitor: &mut V,
) -> Result<(), Halt>
where
    V: Visitor,
{
    let mut scanner = Scanner {
        bytes,
        at: 0,
        limits,
        effort,
        values: 0,
        keys: Keys::default(),
        inner: Frame {
            within: None,
            count: 0,
            names: Names::default(),
            visitor: visitor.outside(),
        },
        outer: SmallVec::new(),
    };
    match scanner.run(visitor) {
        Err(Halt::Refused(refusal)) => {
            let open = scanner.outer.iter().chain([&scanner.inner]);
            Err(visitor
                .locate(refusal, open.map(|frame| frame.visitor))
                .into())
        }
        verdict => verdict,
    }
}

struct Scanner<'a, F> {
    bytes: &'a [u8],
    at: usize,
    limits: JsonLimits,
    effort: &'a Effort,
    /// Values that have begun.
    values: u32,
    keys: Keys,
    /// The innermost object or array that has not ended.
    inner: Frame<F>,
    /// What it is in, outermost first.
    outer: SmallVec<[Frame<F>; 8]>,
}

/// An object or an array that has not ended.
#[derive(Clone, Copy)]
struct Frame<F> {
    /// `None` around the whole text.
    within: Option<Container>,
    /// Members or elements that have begun.
    count: u32,
    /// Those of its members.
    names: Names,
    visitor: F,
}

/// What is read next.
enum Step {
    /// A member.
    Member,
    /// An element.
    Element,
    /// The end of the innermost object or array.
    End,
    /// What follows a value.
    After,
    /// Nothing: the text is read.
    Nothing,
}

impl<F> Scanner<'_, F>
where
    F: Copy,
{
    fn run<V>(&mut self, visitor: &mut V) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        'values: loop {
            let mut step = self.value(visitor)?;
            loop {
                match step {
                    Step::Member => {
                        self.member(visitor)?;
                        continue 'values;
                    }
                    Step::Element => {
                        self.element(visitor)?;
                        continue 'values;
                    }
                    Step::End => self.end(visitor)?,
                    Step::After => {}
                    Step::Nothing => return Ok(()),
                }
                step = self.after()?;
            }
        }
    }

    /// Reads a scalar, or the first byte of an object or an array.
    #[inline(always)]
    fn value<V>(&mut self, visitor: &mut V) -> Result<Step, Halt>
    where
        V: Visitor<Frame = F>,
    {
        self.effort.spend(1)?;
        self.values = self.values.saturating_add(1);
        if self.values > self.limits.values {
            return Err(FaultKind::Values(self.limits.values).at(self.at).into());
        }
        let scalar = match self.peek()? {
            Some(b'"') => Scalar::String(self.string()?),
            Some(b'{') => {
                self.begin(Container::Object, visitor)?;
                let is_empty = self.peek()? == Some(b'}');
                return Ok(if is_empty { Step::End } else { Step::Member });
            }
            Some(b'[') => {
                self.begin(Container::Array, visitor)?;
                let is_empty = self.peek()? == Some(b']');
                return Ok(if is_empty { Step::End } else { Step::Element });
            }
            _ => self.other_scalar()?,
        };
        visitor.scalar(&mut self.inner.visitor, scalar)?;
        Ok(Step::After)
    }

    /// Reads what follows a value, up to the next one or to an end.
    #[inline(always)]
    fn after(&mut self) -> Result<Step, Halt> {
        match (self.inner.within, self.peek()?) {
            (Some(Container::Object), Some(b',')) => {
                self.at += 1;
                Ok(Step::Member)
            }
            (Some(Container::Array), Some(b',')) => {
                self.at += 1;
                Ok(Step::Element)
            }
            (Some(Container::Object), Some(b'}')) | (Some(Container::Array), Some(b']')) => {
                Ok(Step::End)
            }
            (Some(_), _) => Err(self.syntax("a comma or an end")),
            (None, None) => Ok(Step::Nothing),
            (None, _) => Err(self.syntax("the end")),
        }
    }

    #[inline(always)]
    fn begin<V>(&mut self, container: Container, visitor: &mut V) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        if self.outer.len() >= self.limits.depth {
            return Err(FaultKind::Depth(self.limits.depth).at(self.at).into());
        }
        let visitor = visitor.begin(container, self.at)?;
        self.outer.push(self.inner);
        self.inner = Frame {
            within: Some(container),
            count: 0,
            names: self.keys.open(),
            visitor,
        };
        self.at += 1;
        Ok(())
    }

    /// Reads a member up to its value.
    #[inline(always)]
    fn member<V>(&mut self, visitor: &mut V) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        let limit = self.limits.members;
        if self.count() > limit {
            return Err(FaultKind::Members(limit).at(self.at).into());
        }
        if self.peek()? != Some(b'"') {
            return Err(self.syntax("a member's name"));
        }
        let text = self.string()?;
        if self.peek()? != Some(b':') {
            return Err(self.syntax("a colon"));
        }
        self.at += 1;
        match text.as_key() {
            Some(key) => self.name(visitor, key),
            None => self.name(visitor, Key::new(&text.unescaped())),
        }
    }

    #[inline(always)]
    fn name<V>(&mut self, visitor: &mut V, key: Key<'_>) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        let known = visitor.member(&mut self.inner.visitor, key)?;
        self.keys.push(&mut self.inner.names, key, known);
        Ok(())
    }

    #[inline(always)]
    fn element<V>(&mut self, visitor: &mut V) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        let limit = self.limits.elements;
        let count = self.count();
        if count > limit {
            return Err(FaultKind::Elements(limit).at(self.at).into());
        }
        visitor.element(&mut self.inner.visitor, count - 1)
    }

    /// Counts one more member or element.
    #[inline(always)]
    fn count(&mut self) -> u32 {
        self.inner.count = self.inner.count.saturating_add(1);
        self.inner.count
    }

    #[inline(always)]
    fn end<V>(&mut self, visitor: &mut V) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        self.at += 1;
        let outer = self.outer.pop().expect("within an object or an array");
        let ended = std::mem::replace(&mut self.inner, outer);
        visitor.end(&ended.visitor, self.at)?;
        if !self.keys.close(ended.names) {
            return Err(FaultKind::DuplicateKey.at(self.at).into());
        }
        Ok(())
    }
}

impl<'a, F> Scanner<'a, F> {
    /// Reads the string whose quote is next.
    #[inline(always)]
    fn string(&mut self) -> Result<Text<'a>, Halt> {
        let text = text::scan(self.bytes, self.at + 1, self.effort)?;
        self.at += text.raw().len() + 2;
        Ok(text)
    }

    /// Reads a scalar that is no string.
    fn other_scalar(&mut self) -> Result<Scalar<'a>, Halt> {
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
    fn peek(&mut self) -> Result<Option<u8>, Spent> {
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
    fn syntax(&self, wanted: &'static str) -> Halt {
        FaultKind::Syntax(wanted).at(self.at).into()
    }
}
