//! Decodes tokens without verifying them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;
use serde_json::Value;
use stockade_core::clock::Timestamp;

use crate::{CliError, time::Rfc3339};

/// The header and claims of a token, which are not verified.
#[derive(Debug, Serialize)]
pub(super) struct DecodedToken {
    pub(super) header: Value,
    pub(super) claims: Value,
}

impl DecodedToken {
    pub(super) fn decode(token: &str) -> Result<Self, CliError> {
        let parts: Vec<_> = token.split('.').collect();
        let [header, claims, _] = parts[..] else {
            return Err(malformed("it does not have three parts separated by dots"));
        };
        Ok(Self {
            header: part(header)?,
            claims: part(claims)?,
        })
    }

    /// The first audience that the token claims.
    pub(super) fn audience(&self) -> Option<&str> {
        match self.claims.get("aud")? {
            Value::Array(audiences) => audiences.first()?.as_str(),
            audience => audience.as_str(),
        }
    }

    /// The claims that are times, formatted.
    pub(super) fn times(&self) -> Vec<(&'static str, String)> {
        [("issued", "iat"), ("not before", "nbf"), ("expires", "exp")]
            .into_iter()
            .filter_map(|(name, claim)| {
                let secs = self.claims.get(claim)?.as_u64()?;
                Some((name, Rfc3339(Timestamp::from_secs(secs)).to_string()))
            })
            .collect()
    }
}

fn part(text: &str) -> Result<Value, CliError> {
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| malformed("a part is not base64url"))?;
    serde_json::from_slice(&bytes).map_err(|_| malformed("a part is not JSON"))
}

/// Does not quote the input, which may be another secret.
fn malformed(problem: &str) -> CliError {
    CliError::failed(format_args!("not a signed token: {problem}"))
}
