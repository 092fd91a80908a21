//! Lists of limited length.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};

/// At most `MOST` values; a longer list is refused while it is read, before it takes
/// memory.
pub(in crate::api::chat) struct Few<T, const MOST: usize>(pub(in crate::api::chat) Vec<T>);

impl<'de, T, const MOST: usize> Deserialize<'de> for Few<T, MOST>
where
    T: Deserialize<'de>,
{
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T, const MOST: usize>(PhantomData<T>);

impl<'de, T, const MOST: usize> Visitor<'de> for FewVisitor<T, MOST>
where
    T: Deserialize<'de>,
{
    type Value = Few<T, MOST>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A>(self, mut seq: A) -> Result<Self::Value, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            if values.len() == MOST {
                return Err(A::Error::custom(format_args!("more than {MOST} elements")));
            }
            values.push(value);
        }
        Ok(Few(values))
    }
}
