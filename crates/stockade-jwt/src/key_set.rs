//! All keys in force at one moment.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Algorithm, KeyError, VerifyingKey, jwk};

/// All keys in force at one moment. It is swapped as a whole, never changed.
#[derive(Debug)]
pub struct KeySet {
    keys: Box<[VerifyingKey]>,
    /// Tells a set from all others of this process, so that what was verified with one is
    /// never taken for what another verified.
    generation: u64,
}

/// A token that names no key is tried with so many at most: each try costs the CPU time
/// of a signature, and nobody has proven anything yet.
const MAX_CANDIDATES: usize = 4;

impl KeySet {
    /// The set of these keys. Without any, every token is refused.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        static GENERATION: AtomicU64 = AtomicU64::new(0);
        Self {
            keys: keys.into_iter().collect(),
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// The keys of a JSON Web Key Set, or of a single JSON Web Key, for these algorithms.
    ///
    /// A key that names an algorithm is for that one; one that names none is for all in
    /// the list that it fits. Keys for encryption and of unknown types are left out.
    ///
    /// # Errors
    /// When the text is no key set, or has no key for any of the algorithms, or more than
    /// a hundred keys.
    pub fn from_jwks(text: &str, algorithms: &[Algorithm]) -> Result<Self, KeyError> {
        Ok(Self::new(jwk::read(text.as_bytes(), algorithms)?))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none, so that every token is refused.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The keys with which a token of this header could be signed.
    pub(crate) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> KeyLookup<'_> {
        let named = |key: &&VerifyingKey| match (key.key_id(), id) {
            (Some(ours), Some(theirs)) => ours == theirs,
            // The configuration or the token leaves it open.
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

/// What [`KeySet::find`] found.
#[derive(Debug)]
pub(crate) enum KeyLookup<'s> {
    Keys(Vec<&'s VerifyingKey>),
    WrongAlgorithm,
    UnknownKey,
    /// More keys than are tried; the token has to name one.
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
    fn tries_few_keys_for_a_token_that_names_none() {
        let ids = ["a", "b", "c", "d", "e"];
        let set = KeySet::new(ids.map(|id| key(Algorithm::Hs256, Some(id))));
        assert!(matches!(
            set.find(None, Algorithm::Hs256),
            KeyLookup::TooMany
        ));
        assert_eq!(found(&set, Some("e"), Algorithm::Hs256), 1);
    }
}
