//! Scans values, objects and arrays.

use smallvec::SmallVec;

use super::{
    Container, JsonLimits, Scalar, Visitor,
    cursor::Cursor,
    duplicates::{DuplicateCheck, MemberNames},
    error::JsonErrorKind,
    escape,
    value_counter::ValueCounter,
};
use crate::{scan_error::ScanError, work_budget::WorkBudget};

/// Levels that need no allocation; an image in a chat is on the sixth.
const INLINE_LEVELS: usize = 8;

/// Scans a JSON document in one pass without recursion.
///
/// Accepts exactly the grammar of RFC 8259 in UTF-8 without a byte order mark, except unpaired
/// surrogates and duplicate member names.
pub(crate) fn scan<V>(
    bytes: &[u8],
    limits: JsonLimits,
    budget: &WorkBudget,
    visitor: &mut V,
) -> Result<(), ScanError>
where
    V: Visitor,
{
    let mut cursor = Cursor::new(bytes, budget);
    let mut values = ValueCounter::new(limits.values, budget);
    values.begin(cursor.at)?;
    let container = match cursor.peek()? {
        Some(b'{') => Container::Object,
        Some(b'[') => Container::Array,
        _ => return lone_scalar(cursor, visitor),
    };
    if limits.depth == 0 {
        return Err(JsonErrorKind::Depth(0).at(cursor.at).into());
    }
    let duplicates = DuplicateCheck::default();
    let outermost = visitor.begin(container, cursor.at)?;
    let mut scanner = Scanner {
        limits,
        inner: Frame::new(container, &limits, &duplicates, outermost),
        duplicates,
        outer: SmallVec::new(),
        has_ended: false,
    };
    match scanner.run(cursor, values, visitor) {
        Err(ScanError::Refused(refusal)) if !scanner.has_ended => {
            let open = scanner.outer.iter().chain([&scanner.inner]);
            let open = open.map(|frame| frame.visitor);
            let open = [visitor.document()].into_iter().chain(open);
            Err(visitor.locate(refusal, open).into())
        }
        outcome => outcome,
    }
}

/// Scans a document that is a scalar.
#[cold]
fn lone_scalar<V>(mut cursor: Cursor<'_>, visitor: &mut V) -> Result<(), ScanError>
where
    V: Visitor,
{
    let scalar = cursor.scalar()?;
    visitor.scalar(&mut visitor.document(), scalar)?;
    cursor.end()
}

struct Scanner<F> {
    limits: JsonLimits,
    duplicates: DuplicateCheck,
    /// The innermost open object or array.
    inner: Frame<F>,
    /// The enclosing objects and arrays, outermost first.
    outer: SmallVec<[Frame<F>; INLINE_LEVELS]>,
    /// Whether the document's object or array has ended.
    has_ended: bool,
}

/// An open object or array.
#[derive(Clone, Copy)]
struct Frame<F> {
    visitor: F,
    /// The names of its members.
    names: MemberNames,
    /// How many more members or elements are allowed.
    remaining: u32,
    container: Container,
}

impl<F> Frame<F> {
    #[inline(always)]
    fn new(
        container: Container,
        limits: &JsonLimits,
        duplicates: &DuplicateCheck,
        visitor: F,
    ) -> Self {
        Self {
            visitor,
            names: duplicates.open(),
            remaining: match container {
                Container::Object => limits.members,
                Container::Array => limits.elements,
            },
            container,
        }
    }

    /// Counts a member or element; `false` if there are too many.
    #[inline(always)]
    fn take_slot(&mut self) -> bool {
        let remaining = self.remaining.checked_sub(1);
        self.remaining = remaining.unwrap_or(0);
        remaining.is_some()
    }
}

impl<F> Scanner<F>
where
    F: Copy,
{
    /// Scans from the first byte of the outermost object or array.
    #[inline(always)]
    fn run<V>(
        &mut self,
        mut cursor: Cursor<'_>,
        mut values: ValueCounter<'_>,
        visitor: &mut V,
    ) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        let mut is_empty = self.is_empty(&mut cursor)?;
        loop {
            // Descend to a scalar or to an empty container.
            while !is_empty {
                match self.inner.container {
                    Container::Object => self.member(&mut cursor, visitor)?,
                    Container::Array => self.element(&cursor, visitor)?,
                }
                values.begin(cursor.at)?;
                if cursor.is_next(b'"')? {
                    let text = cursor.string()?;
                    visitor.scalar(&mut self.inner.visitor, Scalar::String(text))?;
                    break;
                }
                let container = match cursor.peek()? {
                    Some(b'{') => Container::Object,
                    Some(b'[') => Container::Array,
                    _ => {
                        let scalar = cursor.other_scalar()?;
                        visitor.scalar(&mut self.inner.visitor, scalar)?;
                        break;
                    }
                };
                self.begin(container, &cursor, visitor)?;
                is_empty = self.is_empty(&mut cursor)?;
            }
            // Ascend to a container that continues.
            while !cursor.is_next(b',')? {
                if !cursor.is_next(self.inner.container.end())? {
                    return Err(cursor.syntax("a comma or an end"));
                }
                cursor.at += 1;
                self.end(&cursor, visitor)?;
                if self.has_ended {
                    return cursor.end();
                }
            }
            cursor.at += 1;
            is_empty = false;
        }
    }

    /// Opens a nested object or array.
    #[inline(always)]
    fn begin<V>(
        &mut self,
        container: Container,
        cursor: &Cursor<'_>,
        visitor: &mut V,
    ) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        let limit = self.limits.depth;
        if self.outer.len() + 1 >= limit {
            return Err(JsonErrorKind::Depth(limit).at(cursor.at).into());
        }
        let visitor = visitor.begin(container, cursor.at)?;
        self.outer.push(self.inner);
        self.inner = Frame::new(container, &self.limits, &self.duplicates, visitor);
        Ok(())
    }

    /// Reads the opening byte; returns whether the closing byte follows.
    #[inline(always)]
    fn is_empty(&self, cursor: &mut Cursor<'_>) -> Result<bool, ScanError> {
        cursor.at += 1;
        Ok(cursor.is_next(self.inner.container.end())?)
    }

    /// Reads a member's name and colon.
    #[inline(always)]
    fn member<V>(&mut self, cursor: &mut Cursor<'_>, visitor: &mut V) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        if !self.inner.take_slot() {
            return Err(JsonErrorKind::Members(self.limits.members)
                .at(cursor.at)
                .into());
        }
        if !cursor.is_next(b'"')? {
            return Err(cursor.syntax("a member's name"));
        }
        let text = cursor.string()?;
        if !cursor.is_next(b':')? {
            return Err(cursor.syntax("a colon"));
        }
        cursor.at += 1;
        match text.as_name() {
            Some(name) => self.name(visitor, name),
            None => self.escaped_name(visitor, text.raw()),
        }
    }

    #[inline(always)]
    fn name<V>(&mut self, visitor: &mut V, name: &[u8]) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        let known = visitor.member(&mut self.inner.visitor, name)?;
        self.duplicates.push(&mut self.inner.names, name, known);
        Ok(())
    }

    #[cold]
    fn escaped_name<V>(&mut self, visitor: &mut V, raw: &[u8]) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        self.name(visitor, &escape::unescape(raw))
    }

    #[inline(always)]
    fn element<V>(&mut self, cursor: &Cursor<'_>, visitor: &mut V) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        let limit = self.limits.elements;
        let index = limit - self.inner.remaining;
        if !self.inner.take_slot() {
            return Err(JsonErrorKind::Elements(limit).at(cursor.at).into());
        }
        visitor.element(&mut self.inner.visitor, index)
    }

    /// Closes the innermost object or array.
    #[inline(always)]
    fn end<V>(&mut self, cursor: &Cursor<'_>, visitor: &mut V) -> Result<(), ScanError>
    where
        V: Visitor<Frame = F>,
    {
        let ended = self.inner;
        match self.outer.pop() {
            Some(outer) => self.inner = outer,
            None => self.has_ended = true,
        }
        visitor.end(&ended.visitor, cursor.at)?;
        if !self.duplicates.close(ended.names) {
            return Err(JsonErrorKind::DuplicateKey.at(cursor.at).into());
        }
        Ok(())
    }
}
