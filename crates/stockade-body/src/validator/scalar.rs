//! Rules for values other than objects and arrays.

use std::sync::Arc;

use stockade_core::refusal::Refusal;

use super::{Frame, Segment, Validator};
use crate::{
    ImageError, ImageErrorKind, ImageRules, ValidatedImage,
    json::{Number, Scalar, Text},
    profile::{MemberMatch, Node, Rule, ValueKinds},
    refusal,
    scan_error::ScanError,
    work_budget::WorkBudget,
};

/// Maximum length of a model's name in bytes.
const MODEL_NAME: usize = 256;

/// Tokens that a chat template adds to each text (markers and the role), in thirds.
const TEMPLATE_THIRDS: u64 = 8 * 3;

/// Bytes digested in about one step.
const DIGESTED: usize = 64;

/// Checks that a node accepts this kind of value.
#[inline(always)]
pub(super) fn kind(node: &Node, kind: ValueKinds) -> Result<(), Refusal> {
    if node.kinds().has(kind) {
        Ok(())
    } else {
        Err(wrong_kind(node))
    }
}

/// Validates `null`: an absent member, or a value of a kind that no rule accepts.
#[cold]
pub(super) fn null(node: &Node, frame: &mut Frame<'_>) -> Result<(), Refusal> {
    let is_optional = match frame.last {
        Segment::Member(_) | Segment::Unknown => {
            frame.members.is_null();
            !node.is_required()
        }
        Segment::Element(_) | Segment::None => node.kinds() == ValueKinds::ALL,
    };
    ensure(is_optional, || wrong_kind(node))
}

#[cold]
fn wrong_kind(node: &Node) -> Refusal {
    match node.kinds() {
        ValueKinds::NONE => refusal::unsupported(),
        kinds => refusal::wrong_kind(&kinds.describe()),
    }
}

impl Validator<'_> {
    /// Validates a string against all rules of its node.
    #[inline(always)]
    pub(super) fn string(
        &mut self,
        node: &Node,
        frame: &mut Frame<'_>,
        text: Text<'_>,
    ) -> Result<(), ScanError> {
        self.common_string(node, text)?;
        if node.strings().have_other_rules {
            for rule in node.rules() {
                self.string_by(rule, frame, text)?;
            }
        }
        Ok(())
    }

    /// Validates a string against the common rules of its node.
    #[inline(always)]
    pub(super) fn common_string(&mut self, node: &Node, text: Text<'_>) -> Result<(), ScanError> {
        kind(node, ValueKinds::STRING)?;
        let strings = node.strings();
        if strings.are_counted {
            let chars = text.chars();
            ensure(chars <= strings.chars, || {
                refusal::too_long(strings.chars, "characters")
            })?;
            if strings.are_prompt {
                self.prompt(text, chars)?;
            }
        }
        if strings.are_models {
            self.model(text)?;
        }
        Ok(())
    }

    /// Validates a boolean or number against all rules of its node.
    pub(super) fn other_scalar(&mut self, node: &Node, scalar: Scalar<'_>) -> Result<(), Refusal> {
        match scalar {
            Scalar::Boolean => kind(node, ValueKinds::BOOLEAN),
            Scalar::Number(number) => {
                kind(node, ValueKinds::NUMBER)?;
                for rule in node.rules() {
                    self.number(rule, number)?;
                }
                Ok(())
            }
            Scalar::Null | Scalar::String(_) => Ok(()),
        }
    }

    fn number(&mut self, rule: &Rule, number: Number<'_>) -> Result<(), Refusal> {
        match rule {
            Rule::Integer(from, to) => whole(number, *from, *to).map(drop),
            Rule::Number(from, to) => {
                let is_within = (*from..=*to).contains(&number.as_f64());
                ensure(is_within, || refusal::out_of_range(from, to))
            }
            Rule::TokenId => {
                let token = whole(number, 0, u32::MAX.into())?;
                self.digest(&token.to_le_bytes());
                self.output.token_thirds += 3;
                self.count(4)
            }
            Rule::MaxTokens => {
                let tokens = whole(number, 1, self.profile.max_tokens)?;
                let most = &mut self.output.max_tokens;
                *most = Some(most.unwrap_or(0).max(tokens.unsigned_abs()));
                Ok(())
            }
            Rule::Choices(limit) => {
                let choices = whole(number, 1, *limit)?.unsigned_abs();
                self.output.choices = self.output.choices.max(choices);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Validates a string against one of the less common rules.
    fn string_by(
        &mut self,
        rule: &Rule,
        frame: &mut Frame<'_>,
        text: Text<'_>,
    ) -> Result<(), ScanError> {
        match rule {
            Rule::OneOf(values) => {
                let value = text.unescaped();
                let is_known = values.iter().any(|known| known.as_bytes() == &*value);
                ensure(is_known, refusal::unsupported)?;
            }
            Rule::RequiresMember(members) => {
                let value = text.unescaped();
                let needed = members
                    .iter()
                    .find(|(known, _)| known.as_bytes() == &*value);
                if let (Some((_, member)), Some(node)) = (needed, frame.node)
                    && let MemberMatch::Known(_, known) = node.named(member.as_bytes())
                {
                    frame.members.need(known);
                }
            }
            // Including the quotes.
            Rule::MaxBytes(limit) => self.measure(text.raw().len() + 2, *limit)?,
            Rule::ImageUrl => {
                self.image(text, ValidatedImage::data_url_within)?;
            }
            Rule::ImageBase64 => {
                let read = |rules: &ImageRules, text, budget: &WorkBudget| {
                    ValidatedImage::base64_within(rules, None, text, budget)
                };
                frame.image.found = Some(self.image(text, read)?);
            }
            Rule::ImageMediaType => {
                let format = self.profile.images.declared(&text.unescaped());
                let format = format.ok_or(ImageError::from(ImageErrorKind::Unsupported))?;
                frame.image.declared = Some(format);
            }
            _ => {}
        }
        Ok(())
    }

    fn model(&mut self, text: Text<'_>) -> Result<(), Refusal> {
        // An escape takes at most six bytes for one.
        let is_short = text.raw().len() <= 6 * MODEL_NAME;
        ensure(is_short, refusal::no_model)?;
        let name = text.unescaped();
        let model = match &self.profile.models {
            Some(models) => models
                .iter()
                .find(|model| model.as_bytes() == &*name)
                .cloned(),
            None if name.len() <= MODEL_NAME => Some(Arc::from(
                str::from_utf8(&name).expect("scanned text is UTF-8"),
            )),
            None => None,
        };
        // No model has such a name, so the answer is the same for every caller.
        ensure(
            model.is_some() || name.len() <= MODEL_NAME,
            refusal::no_model,
        )?;
        let is_theirs = |model: &Arc<str>| {
            let principal = self.caller.principal;
            principal.is_none_or(|them| them.may_use_model(model))
        };
        self.output.model = model.filter(is_theirs);
        ensure(self.output.model.is_some(), refusal::model_not_allowed)
    }

    /// Counts a text as prompt.
    #[inline(always)]
    pub(super) fn prompt(&mut self, text: Text<'_>, chars: u64) -> Result<(), ScanError> {
        self.count(chars)?;
        self.output.token_thirds += text.token_thirds(chars) + TEMPLATE_THIRDS;
        if self.prompt_key.is_some() {
            let text = text.unescaped();
            self.budget.spend(text.len() / DIGESTED)?;
            self.digest(&text);
        }
        Ok(())
    }

    #[inline(always)]
    fn digest(&mut self, text: &[u8]) {
        if let Some(key) = self.prompt_key {
            let hasher = self.output.hasher.get_or_insert_with(|| key.hasher());
            hasher.update(text);
        }
    }

    /// Counts prompt characters.
    #[inline(always)]
    pub(super) fn count(&mut self, chars: u64) -> Result<(), Refusal> {
        let limit = self.profile.max_prompt_chars;
        self.output.prompt_chars += chars;
        ensure(self.output.prompt_chars <= limit, || {
            refusal::prompt_too_long(limit)
        })
    }

    /// Counts bytes that the model reads in addition to the prompt.
    pub(super) fn measure(&mut self, bytes: usize, limit: usize) -> Result<(), Refusal> {
        ensure(bytes <= limit, || refusal::too_long(limit, "bytes"))?;
        self.output.token_thirds += bytes as u64;
        Ok(())
    }
}

#[inline(always)]
pub(super) fn ensure(holds: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(refusal()) }
}

fn whole(number: Number<'_>, from: i64, to: i64) -> Result<i64, Refusal> {
    number
        .as_integer()
        .filter(|value| (from..=to).contains(value))
        .ok_or_else(|| refusal::not_whole(from, to))
}
