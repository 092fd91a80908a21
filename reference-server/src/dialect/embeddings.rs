//! OpenAI's embeddings.

mod body;
mod request_reader;
mod response_body;

pub(crate) use request_reader::{EncodingFormat, read};
pub(crate) use response_body::write;

use self::body::EmbeddingsBody;
use super::field_rules::FieldRules;

/// The other fields of a request.
const FIELD_RULES: FieldRules = FieldRules {
    own: EmbeddingsBody::FIELDS,
    ignored: &["user"],
    unsupported: &[],
};
