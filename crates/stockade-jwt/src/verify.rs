//! Verification of tokens.

use stockade_core::clock::Timestamp;

use crate::{
    KeySet, TokenRules,
    claims::Claims,
    header::Header,
    key_set::KeyLookup,
    rules::VerifiedToken,
    token::{self, Token},
    token_error::TokenError,
};

/// Verifies a token, without clock, cache or network access.
///
/// The payload is not read before the signature is verified.
pub(crate) fn verify(
    text: &str,
    keys: &KeySet,
    rules: &TokenRules,
    now: Timestamp,
) -> Result<VerifiedToken, TokenError> {
    let token = Token::split(text)?;
    let header = Header::read(token.header)?;
    rules.check_type(header.token_type.as_deref())?;
    let candidates = match keys.find(header.key_id.as_deref(), header.algorithm) {
        KeyLookup::Keys(keys) => keys,
        KeyLookup::WrongAlgorithm => return Err(TokenError::Algorithm),
        KeyLookup::UnknownKey => return Err(TokenError::UnknownKey),
        KeyLookup::TooMany => return Err(TokenError::AmbiguousKey),
    };
    let signature = token::decode(token.signature)?;
    let signed = token.signed.as_bytes();
    if !candidates
        .iter()
        .any(|key| key.verifies(signed, &signature))
    {
        return Err(TokenError::Signature);
    }
    rules.validate(&Claims::read(token.payload)?, now)
}
