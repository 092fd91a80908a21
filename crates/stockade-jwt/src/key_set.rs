//! Sets of verifying keys.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Algorithm, KeyError, VerifyingKey, jwk};

/// An immutable set of keys; updates replace it as a whole.
///
/// ```
/// use stockade_jwt::{Algorithm, KeySet};
///
/// let jwks = r#"{"keys": [{
///     "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
/// }]}"#;
/// assert_eq!(KeySet::from_jwks(jwks, &[Algorithm::EdDsa])?.len(), 1);
/// // Keys of other algorithms are not used.
/// assert!(KeySet::from_jwks(jwks, &[Algorithm::Es256]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct KeySet {
    keys: Box<[VerifyingKey]>,
    /// Identifies the set within the process, so that cached tokens of other sets are ignored.
    generation: u64,
}

/// The maximum number of keys to try for a token without a `kid`, since each costs the CPU time of
/// a signature for an unauthenticated client.
const MAX_CANDIDATES: usize = 4;

impl KeySet {
    /// Creates a set. An empty set rejects every token.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        Self {
            keys: keys.into_iter().collect(),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// Parses a JSON Web Key Set, or a single JSON Web Key, for these algorithms.
    ///
    /// A key with an `alg` is used for that algorithm, and one without for every listed algorithm
    /// that it fits. Encryption keys and unknown types are ignored.
    ///
    /// # Errors
    /// Returns an error when the text is malformed, no key fits, or there are more than a hundred
    /// keys.
    pub fn from_jwks(text: &str, algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        Ok(Self::new(jwk::read(text.as_bytes(), algorithms)?))
    }

    /// Returns the number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Returns whether the set is empty, so that every token is rejected.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns the candidate keys for a token header.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> KeyLookup<'_> {
        let named = |key: &&VerifyingKey| match (key.key_id(), id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // The key or the token has no id.
            (None, _) | (_, None) => true,
        };
        if !self.keys.iter().any(|key| named(&key)) {
            return KeyLookup::UnknownKey;
        }
        let fitting = |key: &&VerifyingKey| named(key) && key.algorithm() == algorithm;
        let keys: Vec<_> = self
            .keys
            .iter()
            .filter(fitting)
            .take(MAX_CANDIDATES + 1)
            .collect();
        match keys.len() {
            0 => KeyLookup::WrongAlgorithm,
            1..=MAX_CANDIDATES => KeyLookup::Keys(keys),
            _ => KeyLookup::TooMany,
        }
    }
}

/// The result of [`KeySet::find`].
#[derive(Debug)]
pub(crate) enum KeyLookup<'s> {
    Keys(Vec<&'s VerifyingKey>),
    WrongAlgorithm,
    UnknownKey,
    /// Too many candidates; the token must have a `kid`.
    TooMany,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Secret;

    fn key(algorithm: Algorithm, id: Option<&str>) -> VerifyingKey {
        let key = VerifyingKey::hmac(algorithm, &Secret::new([7; 64]).unwrap()).unwrap();
        match id {
            Some(id) => key.id(id),
            None => key,
        }
    }

    fn found(set: &KeySet, id: Option<&str>, algorithm: Algorithm) -> usize {
        match set.find(id, algorithm) {
            KeyLookup::Keys(keys) => keys.len(),
            _ => 0,
        }
    }

    #[test]
    fn finds_keys_by_id_and_algorithm() {
        use Algorithm::{Hs256, Hs384, Hs512};
        let set = KeySet::new([key(Hs256, Some("a")), key(Hs384, Some("b"))]);
        assert_eq!(found(&set, Some("a"), Hs256), 1);
        assert_eq!(found(&set, None, Hs384), 1);
        assert!(matches!(
            set.find(Some("a"), Hs384),
            KeyLookup::WrongAlgorithm
        ));
        assert!(matches!(set.find(None, Hs512), KeyLookup::WrongAlgorithm));
        assert!(matches!(set.find(Some("A"), Hs256), KeyLookup::UnknownKey));
        let open = KeySet::new([key(Hs256, None)]);
        assert_eq!(found(&open, Some("whatever"), Hs256), 1);
        assert!(matches!(
            KeySet::new([]).find(None, Hs256),
            KeyLookup::UnknownKey
        ));
    }

    #[test]
    fn limits_candidates_for_tokens_without_key_id() {
        let ids = ["a", "b", "c", "d", "e"];
        let set = KeySet::new(ids.map(|id| key(Algorithm::Hs256, Some(id))));
        assert!(matches!(
            set.find(None, Algorithm::Hs256),
            KeyLookup::TooMany
        ));
        assert_eq!(found(&set, Some("e"), Algorithm::Hs256), 1);
    }
}
