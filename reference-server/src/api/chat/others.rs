//! Fields that this API does not read: which of them may be there.
//!
//! 1. A field of OpenAI's that changes nothing about the answer is read over.
//! 2. A field of OpenAI's that this server cannot honour is refused, unless its value asks
//!    for nothing (`null`, `false`, `0`, empty, its default): an answer that silently lacks
//!    what was asked for is worse than none.
//! 3. Any other field is refused or ignored, see [`Unknown`].

use stockade_core::{Refusal, RefusalKind};

use super::{
    body::{FIELDS, Probe},
    unknown::Unknown,
};

/// Does not change the answer.
const READ_OVER: &[&str] = &[
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
const NOT_HERE: &[(&str, &[Probe])] = &[
    ("audio", NO_MORE),
    ("frequency_penalty", NO_MORE),
    ("function_call", &[Probe::Word("none"), Probe::Word("auto")]),
    ("functions", NO_MORE),
    ("logit_bias", NO_MORE),
    ("logprobs", NO_MORE),
    ("modalities", &[Probe::Only("text")]),
    ("moderation", NO_MORE),
    ("prediction", NO_MORE),
    ("presence_penalty", NO_MORE),
    (
        "reasoning_effort",
        &[Probe::Word("medium"), Probe::Word("none")],
    ),
    // Without tools, the model chooses none.
    ("tool_choice", &[Probe::Word("none"), Probe::Word("auto")]),
    ("tools", NO_MORE),
    ("top_logprobs", NO_MORE),
    ("verbosity", &[Probe::Word("medium")]),
    ("web_search_options", NO_MORE),
];

const NO_MORE: &[Probe] = &[];

/// Refuses the first field that may not be there, and notes the unknown ones if those are
/// ignored.
pub(super) fn check(others: &[(String, Probe)], unknown: &mut Unknown) -> Result<(), Refusal> {
    for (name, value) in others {
        if READ_OVER.contains(&name.as_str()) {
            continue;
        }
        let Some((_, defaults)) = NOT_HERE.iter().find(|(known, _)| known == name) else {
            unknown.field(name, *value, "", known())?;
            continue;
        };
        if asks(name, *value) && !defaults.contains(value) {
            return Err(refusal(format!("`{name}` is not supported by this server"))
                .with_code("UNSUPPORTED_PARAMETER")
                .with_param(name.clone()));
        }
    }
    Ok(())
}

fn asks(name: &str, value: Probe) -> bool {
    match value {
        Probe::Null | Probe::Nothing => false,
        // A search with its defaults.
        Probe::EmptyObject => name == "web_search_options",
        _ => true,
    }
}

/// All names that a chat may have.
fn known() -> impl Iterator<Item = &'static str> {
    let not_here = NOT_HERE.iter().map(|(name, _)| *name);
    FIELDS.iter().chain(READ_OVER).copied().chain(not_here)
}

fn refusal(text: String) -> Refusal {
    Refusal::new(RefusalKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::UnknownFields;

    fn one(name: &str, value: Probe) -> Result<(), Refusal> {
        let mut unknown = Unknown::new(UnknownFields::Refuse);
        check(&[(name.to_owned(), value)], &mut unknown)
    }

    // FH09
    #[test]
    fn what_asks_for_nothing_may_be_there() {
        for (name, value) in [
            ("tools", Probe::Nothing),
            ("user", Probe::Something),
            ("tool_choice", Probe::Word("none")),
            ("tool_choice", Probe::Word("auto")),
            ("modalities", Probe::Only("text")),
            ("verbosity", Probe::Word("medium")),
            ("reasoning_effort", Probe::Word("medium")),
            ("moderation", Probe::Null),
            ("logit_bias", Probe::EmptyObject),
            ("web_search_options", Probe::Null),
            // Null stands for a field that is not there.
            ("no_such_field", Probe::Null),
        ] {
            assert!(one(name, value).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        for (name, value) in [
            ("tools", Probe::Something),
            ("tool_choice", Probe::Something),
            ("modalities", Probe::Something),
            ("verbosity", Probe::Word("none")),
            ("web_search_options", Probe::EmptyObject),
        ] {
            let refusal = one(name, value).unwrap_err();
            assert_eq!(refusal.param(), Some(name));
            assert_eq!(refusal.code(), "UNSUPPORTED_PARAMETER");
        }
    }

    #[test]
    fn an_unknown_field_is_refused_with_its_nearest_name() {
        let refusal = one("max_token", Probe::Something).unwrap_err();
        assert_eq!(refusal.param(), Some("max_token"));
        assert!(refusal.message().ends_with("did you mean `max_tokens`?"));
        assert!(
            !one("zzz", Probe::One)
                .unwrap_err()
                .message()
                .contains("mean")
        );
    }
}
