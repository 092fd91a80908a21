//! What may be asked of one value.

use std::{borrow::Cow, mem};

/// What is asked of the value at one place of a body.
///
/// A place has one rule of each kind; a second one takes the place of the first. As a member,
/// `null` stands for one that is not there, so it meets all rules but
/// [`Required`](Self::Required) and [`RequiresMember`](Self::RequiresMember). As an element of an array and as
/// the whole body it is a value like others, and not of any kind that a rule asks for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Anything, also within a [`Closed`](Self::Closed) object. It takes away all other
    /// rules of its place.
    Any,
    /// The member must be there.
    Required,
    /// The member must not be there.
    Forbidden,
    /// The object has members with a rule only: `UNSUPPORTED_CONTENT` otherwise.
    Closed,
    /// A string that is one of these, compared exactly: `UNSUPPORTED_CONTENT` otherwise.
    OneOf(Vec<Cow<'static, str>>),
    /// A string; where it is the first of a pair, the object around it must have the member of
    /// the second name, and not as `null`: `("image_url", "image_url")` for the type of a part.
    /// The member counts as one with a rule.
    RequiresMember(Vec<(Cow<'static, str>, Cow<'static, str>)>),
    /// A boolean.
    Boolean,
    /// A whole number from the first to the second, written without fraction or exponent.
    Integer(i64, i64),
    /// A number from the first to the second.
    Number(f64, f64),
    /// At most so many characters in a string.
    MaxChars(u64),
    /// At most so many elements in an array.
    MaxItems(u32),
    /// At most so many bytes, as the value is written. What has such a limit is read by
    /// the model: its bytes count as prompt tokens, three to one.
    MaxBytes(usize),
    /// The model's name: `MODEL_NOT_ALLOWED` unless the profile and the principal have it. One
    /// of more than 256 bytes that the profile does not name is a 404 `MODEL_NOT_FOUND`.
    Model,
    /// A string of prompt: its characters count against [`Profile::max_prompt_chars`].
    ///
    /// [`Profile::max_prompt_chars`]: crate::Profile::max_prompt_chars
    PromptText,
    /// An object or an array whose strings are prompt, however deep they are, at all places
    /// that no rule is for.
    PromptTexts,
    /// A token in place of text; counts as four characters of prompt.
    TokenId,
    /// How many tokens may come back, from 1 to [`Profile::max_tokens`].
    ///
    /// [`Profile::max_tokens`]: crate::Profile::max_tokens
    MaxTokens,
    /// How many answers are wanted, from 1 to this. Each may have as many tokens.
    Choices(i64),
    /// An image as a `data:` URL.
    ImageUrl,
    /// An image in base64.
    ImageBase64,
    /// The media type of the image in the same object. Where that is of another type, its bytes decide,
    /// unless the rules for images are [strict](crate::ImageRules::strict).
    ImageMediaType,
}

impl Rule {
    /// [`OneOf`](Self::OneOf) these.
    pub fn one_of<const N: usize>(values: [&'static str; N]) -> Self {
        Self::OneOf(values.map(Cow::Borrowed).into())
    }

    /// [`RequiresMember`](Self::RequiresMember) these.
    pub fn requires_member<const N: usize>(members: [(&'static str, &'static str); N]) -> Self {
        let pair = |(value, member)| (Cow::Borrowed(value), Cow::Borrowed(member));
        Self::RequiresMember(members.map(pair).into())
    }

    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        mem::discriminant(self) == mem::discriminant(other)
    }

    /// Whether it is for strings, and none of those that most of them have.
    pub(super) fn is_for_unusual_strings(&self) -> bool {
        match self {
            Self::MaxChars(_) | Self::PromptText | Self::Model => false,
            Self::MaxBytes(_) => true,
            rule => rule.kinds() == Some(ValueKinds::STRING),
        }
    }

    /// The kinds of values that can meet it; `None` where it says nothing of that.
    pub(super) fn kinds(&self) -> Option<ValueKinds> {
        match self {
            Self::Any | Self::Required | Self::MaxBytes(_) => None,
            Self::Forbidden => Some(ValueKinds::NONE),
            Self::Closed => Some(ValueKinds::OBJECT),
            Self::Boolean => Some(ValueKinds::BOOLEAN),
            Self::Integer(..)
            | Self::Number(..)
            | Self::TokenId
            | Self::MaxTokens
            | Self::Choices(_) => Some(ValueKinds::NUMBER),
            Self::OneOf(_)
            | Self::RequiresMember(_)
            | Self::MaxChars(_)
            | Self::Model
            | Self::PromptText
            | Self::ImageUrl
            | Self::ImageBase64
            | Self::ImageMediaType => Some(ValueKinds::STRING),
            Self::MaxItems(_) => Some(ValueKinds::ARRAY),
            Self::PromptTexts => Some(ValueKinds::ARRAY.or(ValueKinds::OBJECT)),
        }
    }
}

/// A set of JSON's kinds of values, `null` aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValueKinds(u8);

impl ValueKinds {
    pub(crate) const NONE: Self = Self(0);
    pub(crate) const BOOLEAN: Self = Self(1);
    pub(crate) const NUMBER: Self = Self(2);
    pub(crate) const STRING: Self = Self(4);
    pub(crate) const ARRAY: Self = Self(8);
    pub(crate) const OBJECT: Self = Self(16);
    pub(crate) const ALL: Self = Self(31);

    pub(crate) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) const fn has(self, kind: Self) -> bool {
        self.0 & kind.0 == kind.0
    }

    /// `a string or an array`
    pub(crate) fn describe(self) -> String {
        let names: Vec<&str> = [
            (Self::BOOLEAN, "a boolean"),
            (Self::NUMBER, "a number"),
            (Self::STRING, "a string"),
            (Self::ARRAY, "an array"),
            (Self::OBJECT, "an object"),
        ]
        .into_iter()
        .filter_map(|(kind, name)| self.has(kind).then_some(name))
        .collect();
        names.join(" or ")
    }
}
