//! `stockade token inspect`.

use std::path::PathBuf;

use clap::Args;
use http::{Request, header::AUTHORIZATION};
use serde::Serialize;
use stockade_core::{
    guard::{Check, Guard, Head},
    refusal::Refusal,
};
use stockade_jwt::{Algorithm, JwtAuth, KeySet, LiveKeys, TokenRules};

use super::{decoded::DecodedToken, key};
use crate::{
    CliError, Outcome,
    escape::{escape_json, printable},
    output::{self, ERROR, SUCCESS},
    secret,
};

/// The keys and claims to verify with.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The token is read from a prompt without echo, or from standard input; it is never an argument.
Without a key the token is only decoded: its content may be forged. With a key, the check is
the one that servers run. The signature is never shown, so the output is not a token.

Exit codes: 0 valid or not verified, 1 invalid, 2 usage error.

Examples:
  stockade token inspect < token.txt
  stockade token inspect --key-file public.pem --iss https://id.example.com \\
      --aud https://api.example.com < token.txt
  stockade token inspect --jwks-file jwks.json < token.txt")]
pub(crate) struct InspectArgs {
    /// Verify with this key: a public key in PEM, or a secret
    #[arg(long, value_name = "FILE", conflicts_with = "jwks_file")]
    key_file: Option<PathBuf>,
    /// Verify with the keys of this JSON Web Key Set
    #[arg(long, value_name = "FILE")]
    jwks_file: Option<PathBuf>,
    /// Allow only this algorithm; repeat it [default: all that match the key]
    #[arg(long = "algorithm", value_name = "NAME")]
    algorithms: Vec<Algorithm>,
    /// The required issuer (`iss`) [default: any]
    #[arg(long, value_parser = printable)]
    iss: Option<String>,
    /// The required audience (`aud`) [default: any]
    #[arg(long, value_parser = printable)]
    aud: Option<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// The result of a verification.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verification {
    /// No key was given.
    Unverified,
    Valid,
    Invalid,
}

impl InspectArgs {
    pub(crate) async fn run(self) -> Result<Outcome, CliError> {
        let keys = self.keys()?;
        let token = secret::prompt_or_stdin("Token")?;
        let decoded = DecodedToken::decode(&token)?;
        let (verification, reason) = match keys {
            None => (Verification::Unverified, None),
            Some(keys) => match self.run_guard(keys, &token, &decoded).await? {
                None => (Verification::Valid, None),
                Some(refusal) => (Verification::Invalid, Some(reason(&refusal))),
            },
        };
        self.report(&decoded, verification, reason)?;
        Ok(match verification {
            Verification::Invalid => Outcome::Negative,
            Verification::Unverified | Verification::Valid => Outcome::Success,
        })
    }

    fn keys(&self) -> Result<Option<KeySet>, CliError> {
        let checks = self.iss.is_some() || self.aud.is_some() || !self.algorithms.is_empty();
        match (&self.key_file, &self.jwks_file) {
            (Some(path), _) => key::verifying_keys(path, &self.algorithms).map(Some),
            (None, Some(path)) => key::jwks(path, &self.algorithms).map(Some),
            (None, None) if checks => Err(CliError::usage(
                "--iss, --aud and --algorithm have no effect without a key",
            )
            .with_help("add --key-file or --jwks-file")),
            (None, None) => Ok(None),
        }
    }

    /// Runs the guard on a request with the token.
    async fn run_guard(
        &self,
        keys: KeySet,
        token: &str,
        decoded: &DecodedToken,
    ) -> Result<Option<Refusal>, CliError> {
        let guard =
            JwtAuth::new(LiveKeys::new(keys), self.rules(decoded)).max_token_length(usize::MAX);
        let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(()).map_err(|_| {
            CliError::failed("the token contains characters that are not allowed in a header")
        })?;
        let head = Head::new(request.into_parts().0);
        Ok(match guard.check(&head) {
            Check::Pass(_) | Check::Answer(_) => None,
            Check::Refuse(refusal) => Some(refusal),
            Check::Wait(wait) => wait.await.err(),
        })
    }

    /// Accepts any issuer and audience, unless flags require one.
    fn rules(&self, decoded: &DecodedToken) -> TokenRules {
        let audience = self.aud.as_deref().or(decoded.audience());
        let mut rules = TokenRules::new(
            self.iss.as_deref().unwrap_or_default(),
            audience.unwrap_or_default(),
        );
        if self.iss.is_none() {
            rules = rules.dangerous_any_issuer();
        }
        if audience.is_none() {
            rules = rules.dangerous_no_audience();
        }
        rules
    }

    fn unchecked(&self, verification: Verification) -> Vec<&'static str> {
        let mut unchecked = Vec::new();
        if verification == Verification::Unverified {
            unchecked.push("signature");
            unchecked.push("times");
        }
        if self.iss.is_none() {
            unchecked.push("issuer");
        }
        if self.aud.is_none() {
            unchecked.push("audience");
        }
        unchecked
    }

    fn report(
        &self,
        decoded: &DecodedToken,
        verification: Verification,
        reason: Option<String>,
    ) -> Result<(), CliError> {
        let unchecked = self.unchecked(verification);
        if self.json {
            output::print_json(&Json {
                verification,
                reason: reason.as_deref(),
                unchecked: &unchecked,
                token: decoded,
            })?;
        } else {
            match (verification, reason) {
                (Verification::Unverified, _) => output::print(format_args!(
                    "{ERROR}NOT VERIFIED{ERROR:#}: this token may be forged"
                ))?,
                (Verification::Valid, _) => {
                    output::print(format_args!("{SUCCESS}valid{SUCCESS:#}"))?
                }
                (Verification::Invalid, reason) => output::print(format_args!(
                    "{ERROR}INVALID{ERROR:#}: {}",
                    reason.unwrap_or_default()
                ))?,
            }
            write(decoded)?;
        }
        if verification == Verification::Unverified {
            output::warn("the token is not verified");
            output::help("add --key-file or --jwks-file to verify it");
        } else if !unchecked.is_empty() {
            let unchecked = unchecked.join(" and ");
            output::note(format_args!(
                "Not checked: {unchecked}. Require them with --iss and --aud."
            ));
        }
        Ok(())
    }
}

fn write(decoded: &DecodedToken) -> Result<(), CliError> {
    for (name, value) in [("Header", &decoded.header), ("Claims", &decoded.claims)] {
        output::print(format_args!(
            "\n{name}: {}",
            escape_json(&format!("{value:#}"))
        ))?;
    }
    let times = decoded.times();
    if !times.is_empty() {
        output::print("\nTimes:")?;
    }
    for (name, time) in times {
        output::print(format_args!("  {name:<10} {time}"))?;
    }
    Ok(())
}

#[derive(Serialize)]
struct Json<'a> {
    verification: Verification,
    reason: Option<&'a str>,
    unchecked: &'a [&'static str],
    #[serde(flatten)]
    token: &'a DecodedToken,
}

/// Why the guard refused the token.
fn reason(refusal: &Refusal) -> String {
    match refusal.internal_reason() {
        "signature" => "the signature does not match any of the keys",
        "unknown_key" => "none of the keys has the key id (`kid`) of the token",
        "ambiguous_key" => "the token has no key id (`kid`), and there are too many keys to try",
        "algorithm" => "the algorithm of the token (`alg`) does not match the key",
        "type" => "the type (`typ`) is not that of an access token",
        "header" => "the header is malformed, or requires an extension that is not supported",
        "claims" => "the signature is valid, but the claims are malformed",
        "expired" => "the signature is valid, but the token has expired",
        "not_yet_valid" => "the signature is valid, but the token is not valid yet",
        "issuer" => "the signature is valid, but the issuer (`iss`) is different",
        "audience" => "the signature is valid, but the audience (`aud`) is different",
        "subject" => "the signature is valid, but the subject (`sub`) is missing or malformed",
        "binding_not_verified" => {
            "the signature is valid, but the token is bound to a key or a connection (`cnf`), \
             which is not supported"
        }
        "scopes" => "the signature is valid, but the scopes are malformed",
        cause => return format!("{} ({cause})", refusal.message()),
    }
    .to_owned()
}
