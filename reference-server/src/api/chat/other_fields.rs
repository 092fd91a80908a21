//! Checks the fields that the API does not read.
//!
//! 1. OpenAI fields that do not affect the completion are ignored.
//! 2. OpenAI fields that this server does not support are refused, unless the value has no effect
//!    (`null`, `false`, `0`, empty, or the default): a completion must not silently lack a
//!    requested feature.
//! 3. Any other field is refused or ignored, see [`UnknownFieldHandler`].

use stockade_core::refusal::{Refusal, RefusalKind};

use super::{
    body::{FIELDS, ValueKind},
    unknown_fields::UnknownFieldHandler,
};

/// Fields that do not affect the completion.
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

/// Fields that are not supported, with their defaults, which are accepted like `null`, `false`,
/// `0` and empty values.
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
    // Without tools, `auto` selects none.
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

/// Refuses the first unsupported field, and passes unknown fields to the handler.
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

/// Whether the value of an unsupported field would affect the completion.
fn has_effect(name: &str, value: ValueKind) -> bool {
    match value {
        ValueKind::Null | ValueKind::Empty => false,
        // Enables a search with its defaults.
        ValueKind::EmptyObject => name == "web_search_options",
        _ => true,
    }
}

/// The names of all known fields.
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
    fn accepts_values_without_effect() {
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
            // Null counts as missing.
            ("no_such_field", ValueKind::Null),
        ] {
            assert!(one(name, value).is_ok(), "{name}");
        }
    }

    #[test]
    fn refuses_unsupported_fields_by_name() {
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
    fn refuses_unknown_fields_with_the_nearest_name() {
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
