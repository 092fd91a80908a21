//! Fields that this API does not read: which of them may be there.
//!
//! 1. A field of OpenAI's that changes nothing about the answer is read over.
//! 2. A field of OpenAI's that this server cannot honour is refused, unless its value asks
//!    for nothing (`null`, `false`, `0`, empty): an answer that silently lacks what was
//!    asked for is worse than none.
//! 3. Any other field is refused as OpenAI's own server refuses it, with the nearest known
//!    name: a misspelt `max_token` must not cost a full-length answer. Clients that send
//!    other servers' extensions hear of it at once.

use stockade_core::{Refusal, RefusalKind};

use super::body::{FIELDS, Probe};

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

/// Would change the answer.
const NOT_HERE: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "modalities",
    "prediction",
    "presence_penalty",
    "reasoning_effort",
    "tool_choice",
    "tools",
    "top_logprobs",
    "verbosity",
    "web_search_options",
];

/// The longest field name that is repeated to the client.
const MAX_NAME: usize = 64;

/// Refuses the first field that may not be there.
pub(super) fn check(others: &[(String, Probe)]) -> Result<(), Refusal> {
    for (name, value) in others {
        if READ_OVER.contains(&name.as_str()) {
            continue;
        }
        if NOT_HERE.contains(&name.as_str()) {
            if *value == Probe::Nothing {
                continue;
            }
            return Err(refusal(format!("`{name}` is not supported by this server"))
                .with_code("UNSUPPORTED_PARAMETER")
                .with_param(name.clone()));
        }
        return Err(unknown(name));
    }
    Ok(())
}

fn unknown(name: &str) -> Refusal {
    if name.len() > MAX_NAME {
        return refusal("a field with a very long name is not known".to_owned());
    }
    let known = FIELDS.iter().chain(READ_OVER).chain(NOT_HERE);
    let nearest = known
        .map(|known| (strsim::osa_distance(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let hint = nearest.map_or(String::new(), |(_, known)| {
        format!("; did you mean `{known}`?")
    });
    refusal(format!("unknown parameter: `{name}`{hint}"))
        .with_code("UNKNOWN_PARAMETER")
        .with_param(name.to_owned())
}

fn refusal(text: String) -> Refusal {
    Refusal::new(RefusalKind::Invalid, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, value: Probe) -> Result<(), Refusal> {
        check(&[(name.to_owned(), value)])
    }

    #[test]
    fn what_asks_for_nothing_may_be_there() {
        assert!(one("tools", Probe::Nothing).is_ok());
        assert!(one("user", Probe::Something).is_ok());
    }

    #[test]
    fn what_cannot_be_honoured_is_refused_by_name() {
        let refusal = one("tools", Probe::Something).unwrap_err();
        assert_eq!(refusal.param(), Some("tools"));
        assert_eq!(refusal.code(), "UNSUPPORTED_PARAMETER");
    }

    #[test]
    fn an_unknown_field_hears_of_its_nearest_name() {
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
