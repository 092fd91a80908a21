//! Programs without the feature `jwt` reject `[auth.tokens]`.

use stockade_abuse::NoAuthenticator;

use crate::{Config, ConfigError, TokensConfig, fence::sources::Sources};

/// Accepts no tokens.
pub(in crate::fence) type TokenAuth = NoAuthenticator;

/// There is no store.
pub(in crate::fence) type Revocations = std::convert::Infallible;

pub(in crate::fence) fn guard(
    _config: &TokensConfig,
    _realm: &str,
    _sources: &mut Sources,
    _store: Option<Revocations>,
) -> Result<TokenAuth, ConfigError> {
    Err(unsupported())
}

impl Config {
    /// Validates the key file and the revocation file of `[auth.tokens]` as a fence does.
    ///
    /// # Errors
    /// When tokens are configured, because this program was built without the feature `jwt`.
    pub fn check_token_files(&self) -> Result<(), ConfigError> {
        match self.auth.tokens {
            None => Ok(()),
            Some(_) => Err(unsupported()),
        }
    }
}

fn unsupported() -> ConfigError {
    ConfigError::setting(
        "auth.tokens",
        "this program was built without the feature `jwt`",
    )
    .help("enable the feature `jwt` of stockade, or remove the section")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Environment, Format};

    #[test]
    fn rejects_a_configuration_with_tokens() {
        let config = "[auth]\nkeys_file = \"keys.yaml\"\n[auth.tokens]\nissuer = \"i\"\n\
                      audience = \"a\"\nalgorithm = \"HS256\"\nkey_file = \"secret\"\n";
        let config = Config::parse(config, Format::Toml, &Environment::default()).unwrap();
        let error = config.check_token_files().unwrap_err().to_string();
        assert!(error.contains("without the feature `jwt`"), "{error}");
    }
}
