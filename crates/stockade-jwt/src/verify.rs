//! From the text of a token to what it says.

use stockade_core::clock::Timestamp;

use crate::{
    KeySet, TokenRules,
    cause::Cause,
    claims::Claims,
    header::Header,
    key_set::Found,
    rules::Accepted,
    token::{self, Token},
};

/// Verifies a token, without clock, cache or network.
///
/// Nothing of the payload is read before the signature was verified.
pub(crate) fn verify(
    text: &str,
    keys: &KeySet,
    rules: &TokenRules,
    now: Timestamp,
) -> Result<Accepted, Cause> {
    let token = Token::split(text)?;
    let header = Header::read(token.header)?;
    rules.check_type(header.token_type.as_deref())?;
    let candidates = match keys.find(header.key_id.as_deref(), header.algorithm) {
        Found::Keys(keys) => keys,
        Found::WrongAlgorithm => return Err(Cause::Algorithm),
        Found::UnknownKey => return Err(Cause::UnknownKey),
        Found::TooMany => return Err(Cause::AmbiguousKey),
    };
    let signature = token::decode(token.signature)?;
    let signed = token.signed.as_bytes();
    if !candidates
        .iter()
        .any(|key| key.verifies(signed, &signature))
    {
        return Err(Cause::Signature);
    }
    rules.judge(&Claims::read(token.payload)?, now)
}
