//! OpenAI's responses, without state: nothing is stored, and a request has the whole input.

mod body;
mod input;
mod request_reader;
mod response_body;
mod response_writer;

pub(in crate::dialect) use request_reader::read;
pub(in crate::dialect) use response_body::incomplete_reason;

use self::body::ResponsesBody;
use super::{
    field_rules::{FieldRules, NO_DEFAULTS},
    value_kind::ValueKind,
};

/// The other fields of a request.
pub(super) const FIELD_RULES: FieldRules = FieldRules {
    own: ResponsesBody::FIELDS,
    ignored: &[
        "include",
        "max_tool_calls",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    ],
    unsupported: &[
        ("background", NO_DEFAULTS),
        ("context_management", NO_DEFAULTS),
        ("conversation", NO_DEFAULTS),
        ("moderation", NO_DEFAULTS),
        ("previous_response_id", NO_DEFAULTS),
        ("prompt", NO_DEFAULTS),
        // The whole input is always used.
        ("truncation", &[ValueKind::Word("disabled")]),
    ],
};
