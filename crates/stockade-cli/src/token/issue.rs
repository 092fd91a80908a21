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

/// Who the token is for, and what signs it.
#[derive(Args, Clone, Debug)]
#[command(
    group = ArgGroup::new("key").required(true),
    after_help = "\
The token goes to standard output and nothing else does, so that it can be piped.

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
    /// A file of NAME=value lines that has the signing key
    #[arg(long, value_name = "FILE", group = "key")]
    env_file: Option<PathBuf>,
    /// The name of the signing key in --env-file
    #[arg(long, value_name = "NAME", default_value = "STOCKADE_TOKEN_KEY")]
    env_name: String,
    /// The algorithm [default: the first that the key fits of EdDSA, ES256, ES384, RS256;
    /// HS256 for a secret]
    #[arg(long, value_name = "NAME")]
    algorithm: Option<Algorithm>,
    /// The `kid` that the token names
    #[arg(long, value_name = "KID", value_parser = printable)]
    key_id: Option<String>,
    /// Who issues it (`iss`)
    #[arg(long, value_parser = printable)]
    iss: String,
    /// Whom it is for (`aud`): the server that takes it
    #[arg(long, value_parser = printable)]
    aud: String,
    /// Whose it is (`sub`)
    #[arg(long, value_parser = printable)]
    sub: String,
    /// What it may do; repeat it, or divide scopes by commas
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<Scope>,
    /// How long it is good
    #[arg(long, value_name = "LENGTH", default_value = "15m")]
    ttl: HumanDuration,
    /// Write JSON: the token, its `jti`, and its end
    #[arg(long)]
    json: bool,
}

/// A stolen token that is not revoked is valid until it expires, so it should not live long.
const LONG_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

impl IssueArgs {
    pub(crate) fn run(self) -> Result<Outcome, CliError> {
        if self.ttl.0 < Duration::from_secs(1) {
            return Err(CliError::usage(
                "--ttl: a token is good for a second at least",
            ));
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
                "Good until {until}. To revoke it before: stockade token revoke {} --file FILE \
                 --until {until}",
                token.id(),
            ));
        }
        if self.ttl.0 > LONG_LIFETIME {
            output::warn("the token is good for more than a day; whoever finds it has it so long");
        }
        Ok(Outcome::Success)
    }

    fn issuer(&self) -> Result<TokenIssuer, CliError> {
        let (path, bytes) = match (&self.key_file, &self.env_file) {
            (Some(path), _) => (path, secret::read_file(path)?),
            (None, Some(path)) => (path, key::read_env_file(path, &self.env_name)?),
            (None, None) => {
                return Err(CliError::usage("no signing key is named").help("add --key-file"));
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
