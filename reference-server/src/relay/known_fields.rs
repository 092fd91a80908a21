//! Finds misspelt fields. An upstream has fields that this server does not know, so only names
//! that almost match a known one are refused.

use stockade_core::refusal::Refusal;

use super::RelayApi;
use crate::dialect::{Dialect, is_plain, nearest, unknown_parameter};

const EMBEDDINGS: &[&str] = &["input", "dimensions", "encoding_format"];

/// The minimum length of both names: shorter ones resemble each other by chance, such as `model`
/// and `models`.
const MIN_LENGTH: usize = 6;

/// Refuses the first name that is almost, but not quite, that of a known field.
pub(super) fn check<'a>(
    names: impl Iterator<Item = &'a str>,
    api: RelayApi,
) -> Result<(), Refusal> {
    for name in names {
        if name.len() < MIN_LENGTH || !is_plain(name) || known(api).any(|known| known == name) {
            continue;
        }
        let candidates = known(api).filter(|known| known.len() >= MIN_LENGTH);
        if let Some(meant) = nearest(name, candidates) {
            return Err(unknown_parameter(name.to_owned(), Some(meant)));
        }
    }
    Ok(())
}

/// The fields of an API that this server knows.
fn known(api: RelayApi) -> impl Iterator<Item = &'static str> {
    let (dialect, others) = match api {
        RelayApi::Chat => (Some(Dialect::Chat), &[][..]),
        RelayApi::Completions => (Some(Dialect::Completions), &[][..]),
        RelayApi::Responses => (Some(Dialect::Responses), &[][..]),
        RelayApi::Messages => (Some(Dialect::Messages), &[][..]),
        RelayApi::CountTokens => (Some(Dialect::CountTokens), &[][..]),
        RelayApi::Embeddings => (None, EMBEDDINGS),
        RelayApi::Rerank | RelayApi::Tokenize => (None, &[][..]),
    };
    let dialect = dialect.into_iter().flat_map(Dialect::known_fields);
    dialect.chain(others.iter().copied())
}
