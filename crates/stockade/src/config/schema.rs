//! The settings of a type, derived from its `Deserialize` implementation.

use std::cell::RefCell;

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, Visitor,
        value::StrDeserializer,
    },
};

use super::de_error::DeError;

/// The kind of value that a setting accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A section with these settings.
    Section(&'static [&'static str]),
    /// One of these values.
    Choice(&'static [&'static str]),
    /// A list of sections, such as `[[routes]]`.
    Sections,
    /// A section with arbitrary names.
    Map,
    /// A value that must not be shown.
    Secret,
    /// A section that is ignored here.
    Ignored,
    /// Any other value.
    Value,
}

/// The settings of a type, by path.
#[derive(Clone, Debug)]
pub(super) struct Schema(Vec<(String, Kind)>);

impl Schema {
    pub(super) fn of<T>() -> Self
    where
        T: DeserializeOwned,
    {
        let mut settings = Vec::new();
        visit::<T>(&mut Vec::new(), &mut settings);
        Self(settings)
    }

    /// Adds the settings of another schema.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        let found = self.0.iter().find(|(known, _)| known == path);
        found.map(|(_, kind)| *kind)
    }

    /// The paths of all settings except sections.
    pub(super) fn settings(&self) -> impl Iterator<Item = &str> {
        let values = self
            .0
            .iter()
            .filter(|(_, kind)| !matches!(kind, Kind::Section(_) | Kind::Sections | Kind::Ignored));
        values.map(|(path, _)| path.as_str())
    }

    /// The names of the top-level sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        let top = self.0.iter().filter(|(path, _)| !path.contains('.'));
        top.map(|(path, _)| path.as_str())
    }
}

fn visit<T>(path: &mut Vec<&'static str>, settings: &mut Vec<(String, Kind)>)
where
    T: DeserializeOwned,
{
    let found = RefCell::new(Kind::Value);
    let probe = Probe {
        path,
        found: &found,
    };
    // The probe stops at the end of its path, always with an error.
    drop(T::deserialize(probe));
    let kind = found.into_inner();
    if !path.is_empty() {
        settings.push((path.join("."), kind));
    }
    if let Kind::Section(fields) = kind {
        for field in fields {
            path.push(field);
            visit::<T>(path, settings);
            path.pop();
        }
    }
}

/// A deserializer that follows a path through a type and records the kind at its end.
struct Probe<'p> {
    path: &'p [&'static str],
    found: &'p RefCell<Kind>,
}

impl Probe<'_> {
    fn end<T>(self, kind: Kind) -> Result<T, DeError> {
        if self.path.is_empty() {
            self.found.replace(kind);
        }
        Err(DeError::new("a probe"))
    }
}

macro_rules! values {
    ($($method:ident)*) => {$(
        fn $method<V>(self, _visitor: V) -> Result<V::Value, DeError>
        where
            V: Visitor<'de>,
        {
            self.end(Kind::Value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = DeError;

    values! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32
        deserialize_i64 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_identifier
    }

    fn deserialize_option<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V>(
        self,
        _name: &'static str,
        _visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Value)
    }

    fn deserialize_newtype_struct<V>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match name {
            super::value::SECRET => self.end(Kind::Secret),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V>(self, _visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Sections)
    }

    fn deserialize_tuple<V>(self, _length: usize, _visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Value)
    }

    fn deserialize_tuple_struct<V>(
        self,
        _name: &'static str,
        _length: usize,
        _visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Value)
    }

    fn deserialize_map<V>(self, _visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Map)
    }

    fn deserialize_struct<V>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match self.path.split_first() {
            None => self.end(Kind::Section(fields)),
            Some((field, rest)) => visitor.visit_map(OneField {
                field: Some(field),
                rest: Probe {
                    path: rest,
                    found: self.found,
                },
            }),
        }
    }

    fn deserialize_enum<V>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Choice(variants))
    }

    fn deserialize_ignored_any<V>(self, _visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.end(Kind::Ignored)
    }
}

/// A section with one field.
struct OneField<'p> {
    field: Option<&'static str>,
    rest: Probe<'p>,
}

impl<'de> MapAccess<'de> for OneField<'_> {
    type Error = DeError;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, DeError>
    where
        K: DeserializeSeed<'de>,
    {
        let Some(field) = self.field.take() else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, DeError> = field.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V>(&mut self, seed: V) -> Result<V::Value, DeError>
    where
        V: DeserializeSeed<'de>,
    {
        seed.deserialize(Probe {
            path: self.rest.path,
            found: self.rest.found,
        })
    }
}
