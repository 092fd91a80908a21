//! OpenAI's completions: a text is continued without the chat template.

mod body;
mod request_reader;
mod response_writer;

pub(in crate::dialect) use request_reader::read;

use self::body::CompletionsBody;
use super::field_rules::{FieldRules, NO_DEFAULTS};

/// The other fields of a request.
pub(super) const FIELD_RULES: FieldRules = FieldRules {
    own: CompletionsBody::FIELDS,
    ignored: &["user"],
    unsupported: &[("echo", NO_DEFAULTS), ("suffix", NO_DEFAULTS)],
};
