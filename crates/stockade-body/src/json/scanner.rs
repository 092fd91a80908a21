//! The grammar's outer part: values, objects and arrays.

use smallvec::SmallVec;

use super::{
    Container, JsonLimits, Key, Scalar, Visitor,
    fault::FaultKind,
    keys::{Keys, Names},
    tokens::Tokens,
};
use crate::{effort::Effort, halt::Halt};

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
        tokens: Tokens {
            bytes,
            at: 0,
            effort,
        },
        limits,
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
    tokens: Tokens<'a>,
    limits: JsonLimits,
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
        self.tokens.effort.spend(1)?;
        self.values = self.values.saturating_add(1);
        if self.values > self.limits.values {
            return Err(FaultKind::Values(self.limits.values)
                .at(self.tokens.at)
                .into());
        }
        let scalar = match self.tokens.peek()? {
            Some(b'"') => Scalar::String(self.tokens.string()?),
            Some(b'{') => {
                self.begin(Container::Object, visitor)?;
                let is_empty = self.tokens.peek()? == Some(b'}');
                return Ok(if is_empty { Step::End } else { Step::Member });
            }
            Some(b'[') => {
                self.begin(Container::Array, visitor)?;
                let is_empty = self.tokens.peek()? == Some(b']');
                return Ok(if is_empty { Step::End } else { Step::Element });
            }
            _ => self.tokens.other_scalar()?,
        };
        visitor.scalar(&mut self.inner.visitor, scalar)?;
        Ok(Step::After)
    }

    /// Reads what follows a value, up to the next one or to an end.
    #[inline(always)]
    fn after(&mut self) -> Result<Step, Halt> {
        match (self.inner.within, self.tokens.peek()?) {
            (Some(Container::Object), Some(b',')) => {
                self.tokens.at += 1;
                Ok(Step::Member)
            }
            (Some(Container::Array), Some(b',')) => {
                self.tokens.at += 1;
                Ok(Step::Element)
            }
            (Some(Container::Object), Some(b'}')) | (Some(Container::Array), Some(b']')) => {
                Ok(Step::End)
            }
            (Some(_), _) => Err(self.tokens.syntax("a comma or an end")),
            (None, None) => Ok(Step::Nothing),
            (None, _) => Err(self.tokens.syntax("the end")),
        }
    }

    #[inline(always)]
    fn begin<V>(&mut self, container: Container, visitor: &mut V) -> Result<(), Halt>
    where
        V: Visitor<Frame = F>,
    {
        if self.outer.len() >= self.limits.depth {
            return Err(FaultKind::Depth(self.limits.depth)
                .at(self.tokens.at)
                .into());
        }
        let visitor = visitor.begin(container, self.tokens.at)?;
        self.outer.push(self.inner);
        self.inner = Frame {
            within: Some(container),
            count: 0,
            names: self.keys.open(),
            visitor,
        };
        self.tokens.at += 1;
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
            return Err(FaultKind::Members(limit).at(self.tokens.at).into());
        }
        if self.tokens.peek()? != Some(b'"') {
            return Err(self.tokens.syntax("a member's name"));
        }
        let text = self.tokens.string()?;
        if self.tokens.peek()? != Some(b':') {
            return Err(self.tokens.syntax("a colon"));
        }
        self.tokens.at += 1;
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
            return Err(FaultKind::Elements(limit).at(self.tokens.at).into());
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
        self.tokens.at += 1;
        let outer = self.outer.pop().expect("within an object or an array");
        let ended = std::mem::replace(&mut self.inner, outer);
        visitor.end(&ended.visitor, self.tokens.at)?;
        if !self.keys.close(ended.names) {
            return Err(FaultKind::DuplicateKey.at(self.tokens.at).into());
        }
        Ok(())
    }
}
