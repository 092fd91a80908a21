//! `stockade token inspect`.

use std::path::PathBuf;

use clap::Args;
use http::{Request, header::AUTHORIZATION};
use serde::Serialize;
use stockade_core::{
    guard::Guard,
    guard::{Check, Head},
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

/// What the token is verified with.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
The token is asked for and not shown, or read from standard input; never give it as an
argument. Without a key nothing is verified, and anybody can have written what it says. With
one, the answer is that of the guard which servers run: exit code 0 if it would take the
token now, 1 if not. The signature is never shown, so that the output is no token.

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
    /// The only algorithms to take; repeat it [default: those that the key fits]
    #[arg(long = "algorithm", value_name = "NAME")]
    algorithms: Vec<Algorithm>,
    /// The issuer that it must name [default: any]
    #[arg(long, value_parser = printable)]
    iss: Option<String>,
    /// The audience that it must name [default: any]
    #[arg(long, value_parser = printable)]
    aud: Option<String>,
    /// Write JSON
    #[arg(long)]
    json: bool,
}

/// What is known of a token.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verification {
    /// Nobody has looked.
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
                "--iss, --aud and --algorithm mean nothing without a key",
            )
            .help("add --key-file or --jwks-file")),
            (None, None) => Ok(None),
        }
    }

    /// Runs the guard over a request with the token.
    async fn run_guard(
        &self,
        keys: KeySet,
        token: &str,
        decoded: &DecodedToken,
    ) -> Result<Option<Refusal>, CliError> {
        let guard =
            JwtAuth::new(LiveKeys::new(keys), self.rules(decoded)).longest_token(usize::MAX);
        let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(()).map_err(|_| {
            CliError::failed("this is no token: it has characters that no header can hold")
        })?;
        let head = Head::new(request.into_parts().0);
        Ok(match guard.check(&head) {
            Check::Pass(_) | Check::Answer(_) => None,
            Check::Refuse(refusal) => Some(refusal),
            Check::Wait(wait) => wait.await.err(),
        })
    }

    /// What was not asked for is not checked: any issuer, and the audience that the token
    /// itself names.
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
                    "{ERROR}NOT VERIFIED{ERROR:#}: anybody can have written this"
                ))?,
                (Verification::Valid, _) => {
                    output::print(format_args!("{SUCCESS}valid{SUCCESS:#}"))?
                }
                (Verification::Invalid, reason) => output::print(format_args!(
                    "{ERROR}REFUSED{ERROR:#}: {}",
                    reason.unwrap_or_default()
                ))?,
            }
            write(decoded)?;
        }
        if verification == Verification::Unverified {
            output::warn(
                "nothing of this was verified; to verify it, add --key-file or --jwks-file",
            );
        } else if !unchecked.is_empty() {
            let unchecked = unchecked.join(" and ");
            output::note(format_args!(
                "Not checked: {unchecked}; see --iss and --aud."
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
        "signature" => "none of the keys has made its signature",
        "unknown_key" => "it names a key that is not among the keys",
        "ambiguous_key" => "it names no key, and there are too many to try",
        "algorithm" => "it names an algorithm that is not that of the key",
        "type" => "it is no access token: its type is another one",
        "header" => "its header cannot be read, or asks for what no server here does",
        "claims" => "its signature is right, but its claims are not what they should be",
        "expired" => "its signature is right, but it has expired",
        "not_yet_valid" => "its signature is right, but it is not good yet",
        "issuer" => "its signature is right, but it is of another issuer",
        "audience" => "its signature is right, but it is for another audience",
        "subject" => "its signature is right, but it has no usable subject",
        "binding_not_verified" => {
            "its signature is right, but it is bound to a key or a connection (`cnf`), which no \
             server here verifies"
        }
        "scopes" => "its signature is right, but its scopes cannot be read",
        cause => return format!("{} ({cause})", refusal.message()),
    }
    .to_owned()
}
