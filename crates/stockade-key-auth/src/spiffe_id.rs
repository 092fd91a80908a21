//! SPIFFE IDs, which client certificates contain.

use std::{error::Error, fmt, str::FromStr, sync::Arc};

use crate::KeyDigest;

const SCHEME: &str = "spiffe://";
/// The maximum length of a trust domain in bytes.
const MAX_TRUST_DOMAIN: usize = 255;

/// The identity of a workload in its certificate, such as `spiffe://example.org/agent`.
///
/// The [SPIFFE standard](https://spiffe.io/docs/latest/spiffe-specs/spiffe-id/) allows at most
/// 2,048 bytes: a trust domain of lowercase letters, digits, `.`, `-` and `_`, and a path of
/// segments of letters, digits, `.`, `-` and `_`, without `.` or `..`. An id without a path
/// belongs to an authority, not to a workload, and is an error. Ids are compared byte by byte.
///
/// ```
/// use stockade_key_auth::SpiffeId;
///
/// let id: SpiffeId = "spiffe://example.org/agent".parse()?;
/// assert_eq!(id.as_str(), "spiffe://example.org/agent");
/// for other in ["https://example.org/agent", "spiffe://Example.org/agent", "spiffe://example.org"] {
///     assert!(other.parse::<SpiffeId>().is_err());
/// }
/// # Ok::<(), stockade_key_auth::SpiffeIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId(Arc<str>);

impl SpiffeId {
    /// The maximum length in bytes.
    pub const MAX_LENGTH: usize = 2_048;

    /// Returns the id of a certificate with these URIs in its subject alternative names, of
    /// which there must be exactly one (X.509-SVID, section 2).
    ///
    /// Other names and the subject must not be used: they are not SPIFFE IDs.
    ///
    /// ```
    /// use stockade_key_auth::SpiffeId;
    ///
    /// assert!(SpiffeId::from_uri_names(["spiffe://example.org/agent"]).is_ok());
    /// assert!(SpiffeId::from_uri_names([]).is_err());
    /// assert!(SpiffeId::from_uri_names(["spiffe://example.org/a", "spiffe://example.org/b"]).is_err());
    /// ```
    ///
    /// # Errors
    /// Returns an error when there is none or more than one, or when it is not a SPIFFE ID of a
    /// workload.
    pub fn from_uri_names<'n>(
        uris: impl IntoIterator<Item = &'n str>,
    ) -> Result<Self, SpiffeIdError> {
        let mut uris = uris.into_iter();
        match (uris.next(), uris.next()) {
            (Some(uri), None) => uri.parse(),
            (None, _) => Err(SpiffeIdError(
                "the certificate has no URI in its subject alternative names",
            )),
            (Some(_), Some(_)) => Err(SpiffeIdError(
                "the certificate has more than one URI in its subject alternative names",
            )),
        }
    }

    /// Returns the id as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Computes the digest that finds the id in an index of certificates.
    pub(crate) fn digest(&self) -> KeyDigest {
        KeyDigest::of(self.0.as_bytes())
    }
}

impl FromStr for SpiffeId {
    type Err = SpiffeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX_LENGTH {
            return Err(SpiffeIdError("a SPIFFE ID has at most 2,048 bytes"));
        }
        let rest = text.strip_prefix(SCHEME).ok_or(SpiffeIdError(
            "a SPIFFE ID begins with `spiffe://`, for example `spiffe://example.org/agent`",
        ))?;
        let (trust_domain, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !is_trust_domain(trust_domain) {
            return Err(SpiffeIdError(
                "the trust domain of a SPIFFE ID has 1 to 255 lowercase letters, digits, `.`, `-` \
                 or `_`, for example `spiffe://example.org/agent`",
            ));
        }
        if path.is_empty() {
            return Err(SpiffeIdError(
                "the SPIFFE ID of a client has a path, for example `spiffe://example.org/agent`",
            ));
        }
        match path.split('/').all(is_segment) {
            true => Ok(Self(text.into())),
            false => Err(SpiffeIdError(
                "the path of a SPIFFE ID consists of segments of letters, digits, `.`, `-` or `_`, \
                 for example `spiffe://example.org/agent`",
            )),
        }
    }
}

fn is_trust_domain(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    (1..=MAX_TRUST_DOMAIN).contains(&text.len()) && text.bytes().all(allowed)
}

fn is_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !matches!(text, "" | "." | "..") && text.bytes().all(allowed)
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// The error of an invalid [`SpiffeId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpiffeIdError(&'static str);

impl SpiffeIdError {
    pub(crate) fn message(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for SpiffeIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl Error for SpiffeIdError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "spiffe://example.org/agent";

    #[test]
    fn accepts_ids_of_workloads() {
        let long = format!("spiffe://{}/a", "d".repeat(MAX_TRUST_DOMAIN));
        let longest = format!("spiffe://d/{}", "a".repeat(SpiffeId::MAX_LENGTH - 11));
        for text in [
            ID,
            "spiffe://a/b",
            "spiffe://example.org/ns/prod/sa/Agent_1.2-x",
            "spiffe://10.0.0.1/a",
            "spiffe://a_b-c/...",
            &long,
            &longest,
        ] {
            assert_eq!(text.parse::<SpiffeId>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn rejects_other_texts() {
        let long = format!("spiffe://{}/a", "d".repeat(MAX_TRUST_DOMAIN + 1));
        let longest = format!("spiffe://d/{}", "a".repeat(SpiffeId::MAX_LENGTH - 10));
        for (text, why) in [
            ("", "begins with"),
            ("example.org/agent", "begins with"),
            ("https://example.org/agent", "begins with"),
            ("SPIFFE://example.org/agent", "begins with"),
            (" spiffe://example.org/agent", "begins with"),
            ("spiffe:///agent", "trust domain"),
            ("spiffe://Example.org/agent", "trust domain"),
            ("spiffe://example.org:443/agent", "trust domain"),
            ("spiffe://user@example.org/agent", "trust domain"),
            ("spiffe://exämple.org/agent", "trust domain"),
            ("spiffe://example.org%2f/agent", "trust domain"),
            ("spiffe://example.org?a/b", "trust domain"),
            (&long, "trust domain"),
            ("spiffe://example.org", "has a path"),
            ("spiffe://example.org/", "has a path"),
            ("spiffe://example.org//agent", "segments"),
            ("spiffe://example.org/agent/", "segments"),
            ("spiffe://example.org/./agent", "segments"),
            ("spiffe://example.org/../agent", "segments"),
            ("spiffe://example.org/agent?a", "segments"),
            ("spiffe://example.org/agent#a", "segments"),
            ("spiffe://example.org/agent\0", "segments"),
            ("spiffe://example.org/agent\n", "segments"),
            ("spiffe://example.org/a%67ent", "segments"),
            (&longest, "2,048"),
        ] {
            let error = text.parse::<SpiffeId>().unwrap_err().to_string();
            assert!(error.contains(why), "{text:?}: {error}");
        }
    }

    #[test]
    fn a_certificate_has_exactly_one_uri() {
        let id = SpiffeId::from_uri_names([ID]).unwrap();
        assert_eq!(id.as_str(), ID);
        for (uris, why) in [
            (&[][..], "no URI"),
            (&[ID, ID], "more than one"),
            (&[ID, "https://example.org/"], "more than one"),
            (&["https://example.org/"], "begins with"),
        ] {
            let error = SpiffeId::from_uri_names(uris.iter().copied());
            let error = error.unwrap_err().to_string();
            assert!(error.contains(why), "{uris:?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<SpiffeId>();
        }
    }
}
