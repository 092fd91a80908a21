//! Tokens of an identity provider, taken besides keys.

use std::fs;

use stockade_jwt::{
    Algorithm, JwtAuth, KeyError, KeySet, LiveKeys, Secret, TokenRules, VerifyingKey,
};

use crate::{ConfigError, TokensConfig};

/// The guard that judges tokens.
pub(super) fn guard(config: &TokensConfig, realm: &str) -> Result<JwtAuth, ConfigError> {
    let keys = LiveKeys::new(keys(config)?);
    Ok(JwtAuth::new(keys, rules(config)).realm(realm))
}

fn rules(config: &TokensConfig) -> TokenRules {
    TokenRules::new(&*config.issuer, &*config.audience)
        .scope_claim(&*config.scope_claim)
        // So that nobody's subject can be the id of a key.
        .id_prefix("token:")
}

fn keys(config: &TokensConfig) -> Result<KeySet, ConfigError> {
    let algorithm: Algorithm = config
        .algorithm
        .parse()
        .map_err(|error| ConfigError::of("auth.tokens.algorithm", error))?;
    let bytes = fs::read(&config.key_file).map_err(|error| {
        let file = config.key_file.display();
        ConfigError::setting(
            "auth.tokens.key_file",
            format!("cannot read {file}: {error}"),
        )
    })?;
    parse(algorithm, &bytes).map_err(|error| ConfigError::of("auth.tokens.key_file", error))
}

/// A secret for the HMAC algorithms; a JWKS or a PEM for the others.
fn parse(algorithm: Algorithm, bytes: &[u8]) -> Result<KeySet, KeyError> {
    if algorithm.name().starts_with("HS") {
        // Editors and `echo` end a file with a line break that is no part of the secret.
        let secret = Secret::new(bytes.trim_ascii_end())?;
        return Ok(KeySet::new([VerifyingKey::hmac(algorithm, &secret)?]));
    }
    let text = String::from_utf8_lossy(bytes);
    if text.trim_start().starts_with('{') {
        return KeySet::from_jwks(&text, &[algorithm]);
    }
    Ok(KeySet::new([VerifyingKey::pem(algorithm, &text)?]))
}
