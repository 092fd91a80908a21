//! The reason why a grammar cannot be used.

use std::fmt::Write;

/// Why a grammar cannot be used; never repeats a value of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::backend::mistralrs) struct GrammarError(String);

/// Parts of errors of llguidance, and the reason for clients. The first match counts.
const REASONS: [(&str, &str); 10] = [
    ("Unsatisfiable", "no value matches it"),
    ("intersection", "it combines too many schemas"),
    ("fuel", "it is too complex"),
    ("too large", "a number in it is too large"),
    ("too many", "it is too complex"),
    ("limit", "it is too complex"),
    ("Unknown format", "its `format` is not supported"),
    ("regex", "its `pattern` is not supported"),
    (
        "ref",
        "a `$ref` in it cannot be resolved: only references within the schema are supported",
    ),
    ("must be", "a keyword in it has a value of the wrong type"),
];

/// The keywords of JSON schemas that llguidance may not support.
const KEYWORDS: [&str; 14] = [
    "contains",
    "dependentRequired",
    "dependentSchemas",
    "else",
    "if",
    "maxContains",
    "minContains",
    "multipleOf",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
];

impl GrammarError {
    /// Translates an error of llguidance, which may repeat parts of the schema.
    pub(super) fn new(error: &str) -> Self {
        tracing::debug!(error, "a grammar cannot be used");
        if error.contains("Unimplemented keys") {
            let mut text = "it has keywords that are not supported".to_owned();
            let named = KEYWORDS
                .iter()
                .filter(|k| error.contains(&format!("{k:?}")));
            for (at, keyword) in named.enumerate() {
                let separator = if at == 0 { ": " } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(text, "{separator}`{keyword}`");
            }
            return Self(text);
        }
        let known = REASONS.iter().find(|(part, _)| error.contains(part));
        let reason = known.map_or("it is not a schema that is supported", |(_, reason)| reason);
        Self(reason.to_owned())
    }

    /// Compiling panicked.
    pub(in crate::backend::mistralrs) fn panicked() -> Self {
        Self("it is not a schema that is supported".to_owned())
    }

    /// A schema is larger than the maximum, in bytes.
    pub(super) fn too_large(max: usize) -> Self {
        Self(format!("it has more than {max} bytes"))
    }

    /// A schema is not an object.
    pub(super) fn not_an_object() -> Self {
        Self("it is not an object".to_owned())
    }

    /// The reason, to follow the name of the schema.
    pub(in crate::backend::mistralrs) fn reason(&self) -> &str {
        &self.0
    }
}
