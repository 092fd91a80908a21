//! Rules for a single value.

use std::{borrow::Cow, mem};

/// A rule for the value at one position of a body.
///
/// A position has at most one rule of each kind; a later one replaces it. A member that is
/// `null` counts as absent, so it satisfies every rule except [`Required`](Self::Required) and
/// [`RequiresMember`](Self::RequiresMember). As an array element or as the whole body, `null`
/// is a value of a kind that no rule accepts.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    /// Any value, also within a [`Closed`](Self::Closed) object. Removes all other rules of
    /// the position.
    Any,
    /// The member must be there.
    Required,
    /// The member must not be there.
    Forbidden,
    /// The object has only members that have rules; others are refused with
    /// `UNSUPPORTED_CONTENT`.
    Closed,
    /// A string that equals one of these; others are refused with `UNSUPPORTED_CONTENT`.
    OneOf(Vec<Cow<'static, str>>),
    /// A string. If it equals the first of a pair, the enclosing object must have the member
    /// named second, other than `null`: `("image_url", "image_url")` for the type of a part.
    /// That member counts as one with a rule.
    RequiresMember(Vec<(Cow<'static, str>, Cow<'static, str>)>),
    /// A boolean.
    Boolean,
    /// An integer in this range, written without fraction or exponent.
    Integer(i64, i64),
    /// A number in this range.
    Number(f64, f64),
    /// The maximum number of characters of a string.
    MaxChars(u64),
    /// The maximum number of elements of an array.
    MaxItems(u32),
    /// The maximum size in bytes of the value as written. Such values are read by the model:
    /// three of their bytes count as one prompt token.
    MaxBytes(usize),
    /// The name of a model, refused with `MODEL_NOT_ALLOWED` unless the profile and the
    /// principal allow it. Names over 256 bytes that the profile does not list are a 404
    /// `MODEL_NOT_FOUND`.
    Model,
    /// A prompt text. Its characters count against [`Profile::max_prompt_chars`].
    ///
    /// [`Profile::max_prompt_chars`]: crate::Profile::max_prompt_chars
    PromptText,
    /// An object or array whose strings are prompt text at any depth, except where another
    /// rule applies.
    PromptTexts,
    /// A token ID instead of text. Counts as four prompt characters.
    TokenId,
    /// The maximum number of generated tokens, from 1 to [`Profile::max_tokens`].
    ///
    /// [`Profile::max_tokens`]: crate::Profile::max_tokens
    MaxTokens,
    /// The number of choices to generate, from 1 to this. Each may use all tokens.
    Choices(i64),
    /// An image as a `data:` URL.
    ImageUrl,
    /// An image in base64.
    ImageBase64,
    /// The media type of the image in the same object. If the image is of another type, its
    /// bytes decide, unless the image rules are [strict](crate::ImageRules::strict).
    ImageMediaType,
}

impl Rule {
    /// Creates [`OneOf`](Self::OneOf) from literals.
    pub fn one_of<const N: usize>(values: [&'static str; N]) -> Self {
        Self::OneOf(values.map(Cow::Borrowed).into())
    }

    /// Creates [`RequiresMember`](Self::RequiresMember) from literals.
    pub fn requires_member<const N: usize>(members: [(&'static str, &'static str); N]) -> Self {
        let pair = |(value, member)| (Cow::Borrowed(value), Cow::Borrowed(member));
        Self::RequiresMember(members.map(pair).into())
    }

    pub(crate) fn is_same_kind(&self, other: &Self) -> bool {
        mem::discriminant(self) == mem::discriminant(other)
    }

    /// Whether it applies to strings and is not one of the common string rules.
    pub(super) fn is_for_unusual_strings(&self) -> bool {
        match self {
            Self::MaxChars(_) | Self::PromptText | Self::Model => false,
            Self::MaxBytes(_) => true,
            rule => rule.kinds() == Some(ValueKinds::STRING),
        }
    }

    /// The kinds of values that can satisfy it; `None` if it does not restrict them.
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

/// A set of JSON value kinds, without `null`.
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

    /// Describes the set: `a string or an array`.
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
