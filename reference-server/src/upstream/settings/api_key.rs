//! The credential of an upstream.

use std::fmt;

use http::{HeaderName, HeaderValue, header::AUTHORIZATION};
use zeroize::Zeroizing;

use super::UpstreamSettingsError;

/// The credential of an upstream; never shown, and erased from memory when it is dropped.
#[derive(Clone)]
pub struct ApiKey(Zeroizing<String>);

impl ApiKey {
    /// Wraps a key.
    ///
    /// # Errors
    /// Returns an error for an empty key, and for one with characters that no header may carry.
    pub fn new(key: impl Into<String>) -> Result<Self, UpstreamSettingsError> {
        let key = Zeroizing::new(key.into());
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(UpstreamSettingsError::new(
                "the API key of an upstream is empty, or contains spaces or characters outside \
                 ASCII",
            ));
        }
        Ok(Self(key))
    }

    /// The header with this key.
    pub(in crate::upstream) fn header(&self, name: KeyHeader) -> (HeaderName, HeaderValue) {
        let (name, text) = match name {
            KeyHeader::Bearer => (AUTHORIZATION, Zeroizing::new(format!("Bearer {}", *self.0))),
            KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), self.0.clone()),
        };
        let mut value = HeaderValue::from_str(&text).expect("the key has graphic ASCII only");
        value.set_sensitive(true);
        (name, value)
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(..)")
    }
}

/// The header that carries an [`ApiKey`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`.
    #[default]
    Bearer,
    /// `x-api-key: KEY`.
    XApiKey,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_shows_the_key() {
        let key = ApiKey::new("sk-hidden").unwrap();
        assert_eq!(format!("{key:?}"), "ApiKey(..)");
        let (_, header) = key.header(KeyHeader::Bearer);
        assert_eq!(header, "Bearer sk-hidden");
        assert!(!format!("{header:?}").contains("hidden"));
    }

    #[test]
    fn sends_the_key_in_the_chosen_header() {
        let key = ApiKey::new("sk-1").unwrap();
        let (name, header) = key.header(KeyHeader::XApiKey);
        assert_eq!(
            (name.as_str(), header.as_bytes()),
            ("x-api-key", &b"sk-1"[..])
        );
    }

    #[test]
    fn refuses_keys_that_no_header_can_carry() {
        for key in ["", "a b", "a\r\nb: c", "käse"] {
            let error = ApiKey::new(key).unwrap_err().to_string();
            assert!(key.is_empty() || !error.contains(key), "{error}");
        }
    }
}
