//! Deserialization of single values.

use std::{fmt, marker::PhantomData, str::FromStr};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use zeroize::Zeroizing;

/// A `NonZero` constant, checked at compile time.
macro_rules! nonzero {
    ($number:literal) => {
        const { std::num::NonZero::new($number).expect("a literal over zero") }
    };
}
pub(crate) use nonzero;

/// Deserializes a value from a string.
pub(super) fn text<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    let text = String::deserialize(deserializer)?;
    text.parse()
        .map_err(|error: T::Err| D::Error::custom(error))
}

/// Deserializes a list of values from strings or, for environment variables, from one
/// comma-separated string.
pub(super) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    struct List<T>(PhantomData<T>);

    impl<'de, T> Visitor<'de> for List<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of strings, or one string with commas")
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<T>, E>
        where
            E: Error,
        {
            let texts = text
                .split(',')
                .map(str::trim)
                .filter(|text| !text.is_empty());
            let values = texts.map(|text| text.parse().map_err(E::custom));
            values.collect()
        }

        fn visit_seq<A>(self, mut seq: A) -> Result<Vec<T>, A::Error>
        where
            A: SeqAccess<'de>,
        {
            let mut values = Vec::new();
            // One element at a time, so that an error has its index.
            while let Some(Parsed(value)) = seq.next_element()? {
                values.push(value);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_any(List(PhantomData))
}

/// A value of a list, deserialized from a string.
struct Parsed<T>(T);

impl<'de, T> Deserialize<'de> for Parsed<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        text(deserializer).map(Self)
    }
}

/// A URL that may contain a password; `Debug` does not show it.
#[derive(Clone)]
pub struct SecretUrl(Zeroizing<String>);

/// The type name by which the schema recognizes a value that must not be shown.
pub(super) const SECRET: &str = "SecretUrl";

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        struct Url;

        impl<'de> Visitor<'de> for Url {
            type Value = SecretUrl;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a URL")
            }

            fn visit_newtype_struct<D>(self, deserializer: D) -> Result<SecretUrl, D::Error>
            where
                D: Deserializer<'de>,
            {
                Zeroizing::deserialize(deserializer).map(SecretUrl)
            }
        }

        deserializer.deserialize_newtype_struct(SECRET, Url)
    }
}

impl SecretUrl {
    pub(super) fn new(url: String) -> Self {
        Self(Zeroizing::new(url))
    }

    /// The URL, including the password.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for SecretUrl {
    fn from(url: &str) -> Self {
        Self::new(url.to_owned())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}
