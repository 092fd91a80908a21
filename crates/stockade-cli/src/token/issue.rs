//! `stockade token issue`.

use std::{path::PathBuf, time::Duration};

use clap::{ArgGroup, Args};
use serde::Serialize;
use stockade_core::identity::{Scope, ScopeSet};
use stockade_jwt::{Algorithm, TokenIssuer};

use super::key;
use crate::{
    CliError, Outcome,
    escape::printable,
    output, secret,
    time::{HumanDuration, Rfc3339},
};

/// The token to issue, and the key that signs it.
#[derive(Args, Clone, Debug)]
#[command(
    group = ArgGroup::new("key").required(true),
    after_help = "\
Only the token is written to standard output, so that it can be piped.

Examples:
  openssl genpkey -algorithm ed25519 -out signing.pem
  stockade token issue --key-file signing.pem --iss https://id.example.com \\
      --aud https://api.example.com --sub alice --scope chat:write --ttl 15m
  stockade token issue --env-file .env --env-name JWT_SECRET --iss id --aud api --sub ci"
)]
pub(crate) struct IssueArgs {
    /// The signing key: a private key in PEM, or a secret of at least 32 bytes
    #[arg(long, value_name = "FILE", group = "key")]
    key_file: Option<PathBuf>,
    /// A file of NAME=value lines with the signing key
    #[arg(long, value_name = "FILE", group = "key")]
    env_file: Option<PathBuf>,
    /// The name of the variable in --env-file
    #[arg(long, value_name = "NAME", default_value = "STOCKADE_TOKEN_KEY")]
    env_name: String,
    /// The algorithm [default: for a private key the first match of EdDSA, ES256, ES384 and
    /// RS256, for a secret HS256]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// The key id in the token's header (`kid`)
    #[arg(long, value_name = "KID", value_parser = printable)]
    key_id: Option<String>,
    /// The issuer (`iss`)
    #[arg(long, value_parser = printable)]
    iss: String,
    /// The audience (`aud`): the API that accepts the token
    #[arg(long, value_parser = printable)]
    aud: String,
    /// The subject (`sub`)
    #[arg(long, value_parser = printable)]
    sub: String,
    /// A scope of the token; repeat it, or separate scopes by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// The lifetime
    #[arg(long, value_name = "DURATION", default_value = "15m")]
    ttl: HumanDuration,
    /// Write JSON: the token, its id (`jti`) and its expiry
    #[arg(long)]
    json: bool,
}

/// Longer lifetimes cause a warning: a stolen token is valid until it expires or is revoked.
const LONG_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl IssueArgs {
    pub(crate) fn run(self) -> Result<Outcome, CliError> {
        if self.ttl.0 < Duration::from_secs(1) {
            return Err(CliError::usage("--ttl must be at least one second")
                .with_help("set a longer lifetime, for example --ttl 15m"));
        }
        let issuer = self.issuer()?;
        let scopes: ScopeSet = self.scopes.iter().cloned().collect();
        let token = issuer.issue(&self.sub, &scopes).map_err(CliError::failed)?;
        if self.json {
            output::print_json(&Json {
                token: token.expose(),
                id: token.id(),
                expires_at: Rfc3339(token.expires_at()).to_string(),
            })?;
        } else {
            output::print(token.expose())?;
            let until = Rfc3339(token.expires_at());
            output::note(format_args!(
                "Valid until {until}. To revoke it earlier: stockade token revoke {} --file FILE \
                 --until {until}",
                token.id(),
            ));
        }
        if self.ttl.0 > LONG_LIFETIME {
            output::warn("the token is valid for more than a day, also if it is stolen");
            output::help("shorten --ttl, for example --ttl 15m");
        }
        Ok(Outcome::Success)
    }

    fn issuer(&self) -> Result<TokenIssuer, CliError> {
        let (path, bytes) = match (&self.key_file, &self.env_file) {
            (Some(path), _) => (path, secret::read_file(path)?),
            (None, Some(path)) => (path, key::read_env_file(path, &self.env_name)?),
            (None, None) => {
                return Err(CliError::usage("no signing key is given").with_help("add --key-file"));
            }
        };
        let mut key = key::signing_key(&bytes, self.algorithm)
            .map_err(|error| key::invalid_key(path, &error))?;
        if let Some(id) = &self.key_id {
            key = key.id(id.as_str());
        }
        let issuer = TokenIssuer::new(key, self.iss.as_str(), self.aud.as_str());
        Ok(issuer.lifetime(self.ttl.0))
    }
}

#[derive(Serialize)]
struct Json<'a> {
    token: &'a str,
    id: &'a str,
    expires_at: String,
}
