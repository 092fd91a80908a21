//! A deserializer for values with origins, so that each error has its setting and its origin.

use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::StrDeserializer,
    },
    forward_to_deserialize_any,
};

use super::{
    de_error::DeError,
    node::{Entry, Node, Table, Value},
    overrides,
};

impl Node {
    /// Adds the origin of this value to an error, unless a nested value has set one.
    fn add_origin<T>(&self, result: Result<T, DeError>) -> Result<T, DeError> {
        result.map_err(|error| error.at(&self.origin))
    }

    fn invalid_type<T>(&self, expected: &str) -> Result<T, DeError> {
        let kind = self.kind();
        self.add_origin(Err(DeError::new(format!(
            "is {kind}, but must be {expected}"
        ))))
    }

    fn whole_number(&self, least: i128, most: i128) -> Result<i128, DeError> {
        let number = match &self.value {
            Value::Integer(number) => Some(*number),
            Value::Float(number) => whole(*number),
            Value::Untyped(text) => {
                let text = text.trim();
                let number = text.parse().ok();
                number.or_else(|| whole(text.parse().ok()?))
            }
            _ => return self.invalid_type("a whole number"),
        };
        match number {
            Some(number) if (least..=most).contains(&number) => Ok(number),
            Some(number) => self.add_origin(Err(DeError::new(format!(
                "is {number}, but must be from {least} to {most}"
            )))),
            None => self.add_origin(Err(DeError::new(format!(
                "{} is not a whole number",
                self.to_toml()
            )))),
        }
    }
}

/// Converts a whole float such as `10.0`, which programs write for 10.
fn whole(number: f64) -> Option<i128> {
    /// The largest number up to which every whole number has an exact float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the number is whole and within the exact range"
    )]
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i128)
}

macro_rules! whole_numbers {
    ($($method:ident $visit:ident $type:ty,)*) => {$(
        fn $method<V>(self, visitor: V) -> Result<V::Value, DeError>
        where
            V: Visitor<'de>,
        {
            let number = self.whole_number(<$type>::MIN.into(), <$type>::MAX.into())?;
            match <$type>::try_from(number) {
                Ok(number) => self.add_origin(visitor.$visit(number)),
                Err(_) => self.invalid_type("a whole number"),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &Node {
    type Error = DeError;

    fn deserialize_any<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        let result = match &self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Integer(number) => match i64::try_from(*number) {
                Ok(number) => visitor.visit_i64(number),
                Err(_) => return self.invalid_type("a smaller number"),
            },
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Text(text) => visitor.visit_str(text),
            Value::Untyped(text) => match overrides::parse_list(text) {
                Some(items) => visitor.visit_seq(items.iter().map(String::as_str).items()),
                None => visitor.visit_str(text),
            },
            Value::List(items) => visitor.visit_seq(Items(items.iter().enumerate())),
            Value::Table(table) => visitor.visit_map(Fields::of(table)),
        };
        self.add_origin(result)
    }

    fn deserialize_bool<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        let value = match &self.value {
            Value::Bool(value) => Some(*value),
            Value::Untyped(text) => overrides::parse_bool(text),
            _ => return self.invalid_type("true or false"),
        };
        let written = || DeError::new(format!("{} is neither true nor false", self.to_toml()));
        let value = self.add_origin(value.ok_or_else(written))?;
        self.add_origin(visitor.visit_bool(value))
    }

    whole_numbers! {
        deserialize_i8 visit_i8 i8,
        deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32,
        deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8,
        deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32,
        deserialize_u64 visit_u64 u64,
    }

    fn deserialize_f32<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        let number = match &self.value {
            #[expect(clippy::cast_precision_loss, reason = "settings are not that large")]
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Untyped(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) => self.add_origin(visitor.visit_f64(number)),
            None => self.invalid_type("a number, such as 0.5"),
        }
    }

    fn deserialize_str<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) => self.add_origin(visitor.visit_str(text)),
            Value::Integer(_) | Value::Float(_) | Value::Bool(_) => {
                let written = self.to_toml();
                let text = format!("must be a string; write it in quotes: \"{written}\"");
                self.add_origin(Err(DeError::new(text)))
            }
            _ => self.invalid_type("a string"),
        }
    }

    fn deserialize_string<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match &self.value {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match &self.value {
            Value::List(items) => {
                self.add_origin(visitor.visit_seq(Items(items.iter().enumerate())))
            }
            Value::Untyped(text) => {
                let items =
                    overrides::parse_list(text).unwrap_or_else(|| overrides::split_commas(text));
                self.add_origin(visitor.visit_seq(items.iter().map(String::as_str).items()))
            }
            _ => self.invalid_type("a list"),
        }
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
        match &self.value {
            Value::Table(table) => self.add_origin(visitor.visit_map(Fields::of(table))),
            // A YAML section whose settings are all commented out.
            Value::Null => self.add_origin(visitor.visit_map(Fields::of(&Table::default()))),
            _ => self.invalid_type(&format!(
                "a section with the settings {}",
                fields.join(", ")
            )),
        }
    }

    fn deserialize_map<V>(self, visitor: V) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match &self.value {
            Value::Table(table) => self.add_origin(visitor.visit_map(Fields::of(table))),
            Value::Null => self.add_origin(visitor.visit_map(Fields::of(&Table::default()))),
            _ => self.invalid_type("a section of names and values"),
        }
    }

    fn deserialize_enum<V>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError>
    where
        V: Visitor<'de>,
    {
        match &self.value {
            Value::Text(text) | Value::Untyped(text) => {
                let variant: StrDeserializer<'_, DeError> = text.as_str().into_deserializer();
                self.add_origin(visitor.visit_enum(variant))
            }
            _ => self.invalid_type(&format!("one of: {}", variants.join(", "))),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The fields of a section.
struct Fields<'n> {
    entries: std::slice::Iter<'n, Entry>,
    next: Option<&'n Entry>,
}

impl<'n> Fields<'n> {
    fn of(table: &'n Table) -> Self {
        Self {
            entries: table.0.iter(),
            next: None,
        }
    }
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = DeError;

    fn next_key_seed<K>(&mut self, seed: K) -> Result<Option<K::Value>, DeError>
    where
        K: DeserializeSeed<'de>,
    {
        self.next = self.entries.next();
        let Some(entry) = self.next else {
            return Ok(None);
        };
        let key: StrDeserializer<'_, DeError> = entry.key.as_str().into_deserializer();
        let key = seed.deserialize(key);
        key.map(Some).map_err(|error| error.at(&entry.key_origin))
    }

    fn next_value_seed<V>(&mut self, seed: V) -> Result<V::Value, DeError>
    where
        V: DeserializeSeed<'de>,
    {
        match self.next.take() {
            Some(entry) => {
                let value = seed.deserialize(&entry.node);
                value.map_err(|error| error.at(&entry.node.origin).within(&entry.key))
            }
            None => Err(DeError::new("the value was read before its key")),
        }
    }
}

/// The values of a list.
struct Items<'n>(std::iter::Enumerate<std::slice::Iter<'n, Node>>);

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = DeError;

    fn next_element_seed<T>(&mut self, seed: T) -> Result<Option<T::Value>, DeError>
    where
        T: DeserializeSeed<'de>,
    {
        let Some((at, node)) = self.0.next() else {
            return Ok(None);
        };
        let item = seed.deserialize(node);
        item.map(Some)
            .map_err(|error| error.at(&node.origin).within(format!("[{at}]")))
    }
}

/// Deserializes strings as the values of a list.
trait TextItems<'t>: Iterator<Item = &'t str> + Sized {
    fn items(self) -> de::value::SeqDeserializer<Self, DeError> {
        de::value::SeqDeserializer::new(self)
    }
}

impl<'t, I> TextItems<'t> for I where I: Iterator<Item = &'t str> {}
