//! Values that are a string or a structure.

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{
        MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, SeqAccessDeserializer},
    },
};

use super::bounded_vec::BoundedVec;

/// A string, or an array of at most `MAX` values.
pub(in crate::dialect) enum StringOrList<'a, T, const MAX: usize> {
    String(Cow<'a, str>),
    List(Vec<T>),
}

/// A string or an object.
pub(in crate::dialect) enum StringOrObject<'a, T> {
    String(Cow<'a, str>),
    Object(T),
}

impl<'de: 'a, 'a, T, const MAX: usize> Deserialize<'de> for StringOrList<'a, T, MAX>
where
    T: Deserialize<'de>,
{
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<'a, T, const MAX: usize>(PhantomData<StringOrList<'a, T, MAX>>);

impl<'de: 'a, 'a, T, const MAX: usize> Visitor<'de> for ListVisitor<'a, T, MAX>
where
    T: Deserialize<'de>,
{
    type Value = StringOrList<'a, T, MAX>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or an array of at most {MAX} elements")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(StringOrList::String(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(StringOrList::String(text.to_owned().into()))
    }

    fn visit_seq<A>(self, seq: A) -> Result<Self::Value, A::Error>
    where
        A: SeqAccess<'de>,
    {
        let list = BoundedVec::<T, MAX>::deserialize(SeqAccessDeserializer::new(seq))?;
        Ok(StringOrList::List(list.0))
    }
}

impl<'de: 'a, 'a, T> Deserialize<'de> for StringOrObject<'a, T>
where
    T: Deserialize<'de>,
{
    fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
    where
        D: Deserializer<'de>,
    {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<'a, T>(PhantomData<StringOrObject<'a, T>>);

impl<'de: 'a, 'a, T> Visitor<'de> for ObjectVisitor<'a, T>
where
    T: Deserialize<'de>,
{
    type Value = StringOrObject<'a, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an object")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(StringOrObject::String(text.into()))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(StringOrObject::String(text.to_owned().into()))
    }

    fn visit_map<A>(self, map: A) -> Result<Self::Value, A::Error>
    where
        A: MapAccess<'de>,
    {
        T::deserialize(MapAccessDeserializer::new(map)).map(StringOrObject::Object)
    }
}
