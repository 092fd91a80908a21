//! Fields that this API does not read: which of them may be there.
//!
//! 1. A field of OpenAI's that changes nothing about the answer is read over.
//! 2. A field of OpenAI's that this server cannot honour is refused, unless its value asks
//!    for nothing (`null`, `false`, `0`, empty, its default): an answer that silently lacks
//!    what was asked for is worse than none.
//! 3. Any other field is refused or ignored, see [`UnknownFieldHandler`].

use stockade_core::{Refusal, RefusalKind};

use super::{
    body::{FIELDS, ValueKind},
    unknown_fields::UnknownFieldHandler,
};

/// Does not change the answer.
const IGNORED_FIELDS: &[&str] = &[
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

/// Would change the answer, unless it has a value that asks for nothing: `null`, `false`,
/// `0`, empty, or its default, which stands here.
const UNSUPPORTED_FIELDS: &[(&str, &[ValueKind])] = &[
    ("audio", NO_DEFAULTS),
    ("frequency_penalty", NO_DEFAULTS),
    (
        "function_call",
        &[ValueKind::Word("none"), ValueKind::Word("auto")],
    ),
    ("functions", NO_DEFAULTS),
    ("logit_bias", NO_DEFAULTS),
    ("logprobs", NO_DEFAULTS),
    ("modalities", &[ValueKind::WordArray("text")]),
    ("moderation", NO_DEFAULTS),
    ("prediction", NO_DEFAULTS),
    ("presence_penalty", NO_DEFAULTS),
    (
        "reasoning_effort",
        &[ValueKind::Word("medium"), ValueKind::Word("none")],
    ),
    // Without tools, the model chooses none.
    (
        "tool_choice",
        &[ValueKind::Word("none"), ValueKind::Word("auto")],
    ),
    ("tools", NO_DEFAULTS),
    ("top_logprobs", NO_DEFAULTS),
    ("verbosity", &[ValueKind::Word("medium")]),
    ("web_search_options", NO_DEFAULTS),
];

const NO_DEFAULTS: &[ValueKind] = &[];

/// Refuses the first field that may not be there, and notes the unknown ones if those are
/// ignored.
pub(super) fn check(
    other_fields: &[(String, ValueKind)],
    unknown: &mut UnknownFieldHandler,
) -> Result<(), Refusal> {
    for (name, value) in other_fields {
        if IGNORED_FIELDS.contains(&name.as_str()) {
            continue;
        }
        let Some((_, defaults)) = UNSUPPORTED_FIELDS.iter().find(|(known, _)| known == name) else {
            unknown.handle(name, *value, "", known())?;
            continue;
        };
        if has_effect(name, *value) && !defaults.contains(value) {
            return Err(refusal(format!("`{name}` is not supported by this server"))
                .with_code("UNSUPPORTED_PARAMETER")
                .with_param(name.clone()));
        }
    }
    Ok(())
}

fn has_effect(name: &str, value: ValueKind) -> bool {
    match value {
        ValueKind::Null | ValueKind::Empty => false,
        // A search with its defaults.
        ValueKind::EmptyObject => name == "web_search_options",
        _ => true,
    }
}

/// All names that a chat may have.
fn known() -> impl Iterator<Item = &'static str> {
    let unsupported = UNSUPPORTED_FIELDS.iter().map(|(name, _)| *name);
    FIELDS
        .iter()
        .chain(IGNORED_FIELDS)
        .copied()
        .chain(unsupported)
}

fn refusal(text: String) -> Refusal {
    Refusal::new(RefusalKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnknownFields;

    fn one(name: &str, value: ValueKind) -> Result<(), Refusal> {
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Refuse);
        check(&[(name.to_owned(), value)], &mut unknown)
    }

    // FH09
    #[test]
    fn what_asks_for_nothing_may_be_there() {
        for (name, value) in [
            ("tools", ValueKind::Empty),
            ("user", ValueKind::Other),
            ("tool_choice", ValueKind::Word("none")),
            ("tool_choice", ValueKind::Word("auto")),
            ("modalities", ValueKind::WordArray("text")),
            ("verbosity", ValueKind::Word("medium")),
            ("reasoning_effort", ValueKind::Word("medium")),
            ("moderation", ValueKind::Null),
            ("logit_bias", ValueKind::EmptyObject),
            ("web_search_options", ValueKind::Null),
            // Null stands for a field that is not there.
            ("no_such_field", ValueKind::Null),
        ] {
            assert!(one(name, value).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (name, value) in [
            ("tools", ValueKind::Other),
            ("tool_choice", ValueKind::Other),
            ("modalities", ValueKind::Other),
            ("verbosity", ValueKind::Word("none")),
            ("web_search_options", ValueKind::EmptyObject),
        ] {
            let refusal = one(name, value).unwrap_err();
            assert_eq!(refusal.param(), Some(name));
            assert_eq!(refusal.code(), "UNSUPPORTED_PARAMETER");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_nearest_name() {
        let refusal = one("max_token", ValueKind::Other).unwrap_err();
        assert_eq!(refusal.param(), Some("max_token"));
        assert!(refusal.message().ends_with("did you mean `max_tokens`?"));
        assert!(
            !one("zzz", ValueKind::One)
                .unwrap_err()
                .message()
                .contains("mean")
        );
    }
}
