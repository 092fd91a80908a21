//! OpenAI's chat completions, for clients and for upstreams.

mod body;
mod message;
mod request_reader;
mod request_writer;
mod response_body;
mod response_reader;
mod response_writer;

pub use request_writer::write_request;
pub use response_reader::{ReadError, ResponseReader, read_completion};

pub(in crate::dialect) use body::{ChatBody, LogitBias, MAX_STOPS, StreamOptions};
pub(in crate::dialect) use request_reader::{
    choices, logit_bias, read, reasoning_effort, stop_sequences, stream_options,
};
pub(in crate::dialect) use response_body::{
    ErrorBody, TokenBody, UsageBody, finish_reason, is_zero, token_bodies,
};

use super::{
    field_rules::{FieldRules, NO_DEFAULTS},
    value_kind::ValueKind,
};

/// The other fields of a chat.
pub(in crate::dialect) const FIELD_RULES: FieldRules = FieldRules {
    own: ChatBody::FIELDS,
    ignored: &[
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "service_tier",
        "store",
        "user",
    ],
    unsupported: &[
        ("audio", NO_DEFAULTS),
        (
            "function_call",
            &[ValueKind::Word("none"), ValueKind::Word("auto")],
        ),
        ("functions", NO_DEFAULTS),
        ("modalities", &[ValueKind::WordArray("text")]),
        ("moderation", NO_DEFAULTS),
        ("prediction", NO_DEFAULTS),
        ("verbosity", &[ValueKind::Word("medium")]),
        ("web_search_options", NO_DEFAULTS),
    ],
};
