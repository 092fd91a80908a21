//! The header of a token (RFC 7515, section 4).

use serde::{Deserialize, Deserializer, de::IgnoredAny};

use crate::{Algorithm, json, token, token_error::TokenError};

/// The evaluated members of a header.
///
/// `jwk`, `jku`, `x5u` and `x5c` are ignored: a token never supplies its own key.
#[derive(Deserialize)]
struct Members {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
    #[serde(default, deserialize_with = "present")]
    b64: bool,
    #[serde(default, deserialize_with = "present")]
    zip: bool,
    #[serde(default, deserialize_with = "present")]
    cty: bool,
}

/// Returns `true` for any value, including `null`.
fn present<'de, D>(deserializer: D) -> Result<bool, D::Error>
where
    D: Deserializer<'de>,
{
    IgnoredAny::deserialize(deserializer).map(|_| true)
}

/// A header without unsupported features.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: Algorithm,
    pub(crate) key_id: Option<String>,
    pub(crate) token_type: Option<String>,
}

impl Header {
    pub(crate) fn read(part: &str) -> Result<Self, TokenError> {
        let decoded = token::decode(part)?;
        let members: Members = json::from_slice(&decoded).map_err(|_| TokenError::Header)?;
        // No extension is supported, so none may be critical (section 4.1.11). Unencoded payloads
        // (RFC 7797), compressed ones (zip bombs) and nested tokens are not supported either.
        if members.crit || members.b64 || members.zip || members.cty {
            return Err(TokenError::Header);
        }
        Ok(Self {
            algorithm: members.alg.parse().map_err(|_| TokenError::Algorithm)?,
            key_id: members.kid,
            token_type: members.typ,
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

    use super::*;

    fn read(header: &str) -> Result<Header, TokenError> {
        Header::read(&URL_SAFE_NO_PAD.encode(header))
    }

    #[test]
    fn ignores_unknown_members() {
        let header = read(r#"{"typ":"JWT","alg":"ES256","kid":"a","jku":"https://x","x":[1]}"#);
        let header = header.unwrap();
        assert_eq!(header.algorithm, Algorithm::Es256);
        assert_eq!(header.key_id.as_deref(), Some("a"));
        assert_eq!(header.token_type.as_deref(), Some("JWT"));
    }

    // J02, J09
    #[test]
    fn rejects_unsupported_headers() {
        for header in [
            r#"{}"#,
            r#"{"alg":"none"}"#,
            r#"{"alg":["HS256"]}"#,
            r#"{"alg":null}"#,
            r#"{"alg":"HS256","alg":"none"}"#,
            // FA14: also for ignored members, and within them.
            r#"{"alg":"HS256","x":1,"x":1}"#,
            r#"{"alg":"HS256","jwk":{"kty":"oct","kty":"RSA"}}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","crit":null}"#,
            r#"{"alg":"HS256","b64":false}"#,
            r#"{"alg":"HS256","b64":true}"#,
            r#"{"alg":"HS256","zip":"DEF"}"#,
            r#"{"alg":"HS256","cty":"JWT"}"#,
            r#"{"alg":"HS256","kid":7}"#,
            r#"{"alg":"HS256"} "x""#,
            r#"["HS256"]"#,
            "",
        ] {
            assert!(read(header).is_err(), "{header}");
        }
    }
}
