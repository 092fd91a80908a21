//! Anthropic's messages.

mod blocks;
mod body;
mod content;
mod request_reader;
mod response_body;
mod response_writer;

pub(in crate::dialect) use request_reader::{read, read_for_count};
pub(in crate::dialect) use response_body::stop_reason;

use self::body::MessagesBody;
use super::field_rules::{FieldRules, NO_DEFAULTS};

/// The other fields of a request.
pub(super) const FIELD_RULES: FieldRules = FieldRules {
    own: MessagesBody::FIELDS,
    ignored: &["inference_geo", "metadata", "service_tier"],
    unsupported: &[
        ("container", NO_DEFAULTS),
        ("context_management", NO_DEFAULTS),
        ("mcp_servers", NO_DEFAULTS),
    ],
};
