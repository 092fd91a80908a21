//! The settings of a type, derived from its `Deserialize` implementation.

use std::{cell::RefCell, fmt};

use serde::{
    Deserializer,
    de::{
        DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
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
    /// The path of a file.
    File,
    /// A section that is ignored here.
    Ignored,
    /// Any other value.
    Value,
}

/// The part of a path that stands for all elements of a list: `models[].name`.
const ELEMENT: &str = "[]";

/// The settings of a type, by path.
#[derive(Clone, Debug, Default)]
pub(super) struct Schema {
    /// All settings except those of lists.
    settings: Vec<(String, Kind)>,
    /// The settings that name files, those of lists included.
    files: Vec<String>,
}

impl Schema {
    pub(super) fn of<T>() -> Self
    where
        T: DeserializeOwned,
    {
        let mut schema = Self::default();
        visit::<T>(&mut Vec::new(), &mut schema);
        schema
    }

    /// Adds the settings of another schema.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.settings.extend(other.settings);
        self.files.extend(other.files);
        self
    }

    /// Adds the settings for the files of secrets.
    pub(super) fn with_secret_files(mut self) -> Self {
        let files: Vec<_> = self.secrets().map(file_of).collect();
        let settings = files.iter().cloned().map(|file| (file, Kind::File));
        self.settings.extend(settings);
        self.files.extend(files);
        self
    }

    /// The paths of all secrets.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let settings = self.settings.iter();
        let secrets = settings.filter(|(_, kind)| *kind == Kind::Secret);
        secrets.map(|(path, _)| path.as_str())
    }

    /// The paths of all settings that name a file; `[]` stands for the elements of a list.
    pub(super) fn into_files(self) -> Vec<String> {
        self.files
    }

    /// Whether the setting names a file: `models[0].upstream[1].ca_file`.
    pub(super) fn is_file(&self, setting: &str) -> bool {
        let setting = without_indices(setting);
        self.files.contains(&setting)
    }

    pub(super) fn kind(&self, path: &str) -> Option<Kind> {
        let found = self.settings.iter().find(|(known, _)| known == path);
        found.map(|(_, kind)| *kind)
    }

    /// The paths of all settings except sections.
    pub(super) fn settings(&self) -> impl Iterator<Item = &str> {
        let values = self
            .settings
            .iter()
            .filter(|(_, kind)| !matches!(kind, Kind::Section(_) | Kind::Sections | Kind::Ignored));
        values.map(|(path, _)| path.as_str())
    }

    /// The names of the top-level sections.
    pub(super) fn sections(&self) -> impl Iterator<Item = &str> {
        let settings = self.settings.iter();
        let top = settings.filter(|(path, _)| !path.contains('.'));
        top.map(|(path, _)| path.as_str())
    }
}

/// The setting for a file with this secret.
pub(super) fn file_of(secret: &str) -> String {
    format!("{secret}_file")
}

/// `models[].name` for `models[0].name`.
pub(super) fn without_indices(setting: &str) -> String {
    let mut parts = setting.split('[');
    let mut path = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        path.push('[');
        path.push_str(part.trim_start_matches(|digit: char| digit.is_ascii_digit()));
    }
    path
}

fn visit<T>(path: &mut Vec<&'static str>, schema: &mut Schema)
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
    let name = path.join(".").replace(".[]", ELEMENT);
    if kind == Kind::File {
        schema.files.push(name.clone());
    }
    if !path.is_empty() && !path.contains(&ELEMENT) {
        schema.settings.push((name, kind));
    }
    let fields = match kind {
        Kind::Section(fields) => fields,
        Kind::Sections => &[ELEMENT],
        _ => return,
    };
    for field in fields {
        path.push(field);
        visit::<T>(path, schema);
        path.pop();
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
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str
        deserialize_bytes deserialize_byte_buf deserialize_unit deserialize_identifier
    }

    fn deserialize_string<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        /// What the visitor of serde for `PathBuf` expects; that of `String` expects a string.
        const PATH: &str = "path string";

        match Expected(&visitor).to_string() == PATH {
            true => self.end(Kind::File),
            false => self.end(Kind::Value),
        }
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

    fn deserialize_seq<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match self.path.split_first() {
            Some((&ELEMENT, rest)) => visitor.visit_seq(OneElement(Some(Probe {
                path: rest,
                found: self.found,
            }))),
            _ => self.end(Kind::Sections),
        }
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

/// What a visitor expects.
struct Expected<'v, V>(&'v V);

impl<'de, V> fmt::Display for Expected<'_, V>
where
    V: Visitor<'de>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }
}

/// A list with one element.
struct OneElement<'p>(Option<Probe<'p>>);

impl<'de> SeqAccess<'de> for OneElement<'_> {
    type Error = DeError;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>, DeError>
    where
        T: DeserializeSeed<'de>,
    {
        let probe = self.0.take();
        probe.map(|probe| seed.deserialize(probe)).transpose()
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
