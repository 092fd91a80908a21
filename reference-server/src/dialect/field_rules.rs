//! Checks the fields that a dialect does not read.
//!
//! 1. Fields that do not affect the completion are ignored.
//! 2. Fields that this server does not support are refused, unless the value has no effect
//!    (`null`, `false`, `0`, empty, or the default): a completion must not silently lack a
//!    requested feature.
//! 3. Any other field is refused or ignored, see [`UnknownFieldHandler`].

use std::borrow::Cow;

use stockade_core::refusal::Refusal;

use super::{
    refusals::unsupported,
    unknown_fields::{UnknownFieldHandler, join},
    value_kind::ValueKind,
};

/// The fields of an object.
pub(super) struct FieldRules {
    /// The fields that the dialect reads.
    pub(super) own: &'static [&'static str],
    /// Fields that do not affect the completion.
    pub(super) ignored: &'static [&'static str],
    /// Fields that are not supported, with their defaults, which are accepted like `null`,
    /// `false`, `0` and empty values.
    pub(super) unsupported: &'static [(&'static str, &'static [ValueKind])],
}

/// For unsupported fields of which only empty values are accepted.
pub(super) const NO_DEFAULTS: &[ValueKind] = &[];

impl FieldRules {
    /// Refuses the first unsupported field of the object at `path`, which is empty for the body,
    /// and passes unknown fields to the handler.
    pub(super) fn check(
        &self,
        path: &str,
        fields: &[(Cow<'_, str>, ValueKind)],
        unknown: &mut UnknownFieldHandler,
    ) -> Result<(), Refusal> {
        for (name, value) in fields {
            let name = name.as_ref();
            if self.ignored.contains(&name) {
                continue;
            }
            let Some((_, defaults)) = self.unsupported.iter().find(|(known, _)| *known == name)
            else {
                unknown.handle(name, *value, path, self.names())?;
                continue;
            };
            if has_effect(name, *value) && !defaults.contains(value) {
                let text = match name {
                    "functions" | "function_call" => "it is deprecated: use `tools` instead",
                    _ => "it is not supported by this server",
                };
                return Err(unsupported(join(path, name), text));
            }
        }
        Ok(())
    }

    /// The names of all known fields.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        let unsupported = self.unsupported.iter().map(|(name, _)| *name);
        self.own
            .iter()
            .chain(self.ignored)
            .copied()
            .chain(unsupported)
    }
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

#[cfg(test)]
mod tests {
    use super::{super::chat::FIELD_RULES, *};
    use crate::config::UnknownFields;

    fn one(name: &str, value: ValueKind) -> Result<(), Refusal> {
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Refuse);
        FIELD_RULES.check("", &[(name.into(), value)], &mut unknown)
    }

    // FH09
    #[test]
    fn accepts_values_without_effect() {
        for (name, value) in [
            ("functions", ValueKind::Empty),
            ("user", ValueKind::Other),
            ("function_call", ValueKind::Word("none")),
            ("modalities", ValueKind::WordArray("text")),
            ("verbosity", ValueKind::Word("medium")),
            ("moderation", ValueKind::Null),
            ("audio", ValueKind::EmptyObject),
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
            ("functions", ValueKind::Other),
            ("function_call", ValueKind::Other),
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
