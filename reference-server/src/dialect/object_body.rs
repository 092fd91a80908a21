//! JSON objects whose unknown fields are kept by name, but not by value.

/// Defines a struct and its deserialization from a JSON object. Each field is optional, and
/// `null` counts as missing. The struct also has:
///
/// - `extensions`: the documented extensions of other servers, as raw JSON;
/// - `other_fields`: the names of all other fields, with the kind of their value.
///
/// A derived implementation would either keep unknown fields in a tree that takes many times the
/// memory of the body, or refuse them without their name.
macro_rules! object_body {
    (
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<'a>: $expected:literal {
            $($field:ident = $key:literal: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Default)]
        $vis struct $name<'a> {
            $(pub(in crate::dialect) $field: Option<$type>,)*
            /// The documented extensions of other servers.
            pub(in crate::dialect) extensions: Vec<(String, Box<serde_json::value::RawValue>)>,
            /// All other fields.
            pub(in crate::dialect) other_fields:
                Vec<(std::borrow::Cow<'a, str>, $crate::dialect::value_kind::ValueKind)>,
        }

        impl $name<'_> {
            /// The names of the fields of the struct.
            pub(in crate::dialect) const FIELDS: &'static [&'static str] = &[$($key),*];
        }

        impl<'de: 'a, 'a> serde::Deserialize<'de> for $name<'a> {
            fn deserialize<D>(deserializer: D) -> Result<Self, D::Error>
            where
                D: serde::Deserializer<'de>,
            {
                struct BodyVisitor<'a>(std::marker::PhantomData<$name<'a>>);

                impl<'de: 'a, 'a> serde::de::Visitor<'de> for BodyVisitor<'a> {
                    type Value = $name<'a>;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }

                    fn visit_map<A>(self, mut map: A) -> Result<Self::Value, A::Error>
                    where
                        A: serde::de::MapAccess<'de>,
                    {
                        use serde::de::Error;
                        use $crate::dialect::{extensions, object_body::MAX_OTHER_FIELDS};

                        let mut body = $name::default();
                        let mut seen = 0_u64;
                        while let Some(name) = map.next_key::<String>()? {
                            let known = $name::FIELDS.iter().position(|field| *field == name);
                            if let Some(at) = known {
                                if seen & 1 << at != 0 {
                                    return Err(A::Error::duplicate_field($name::FIELDS[at]));
                                }
                                seen |= 1 << at;
                            }
                            match name.as_str() {
                                $($key => body.$field = map.next_value()?,)*
                                _ if body.other_fields.len() + body.extensions.len()
                                    == MAX_OTHER_FIELDS =>
                                {
                                    return Err(A::Error::custom("too many fields"));
                                }
                                name if extensions::is_known(name) => {
                                    if let Some(value) = map.next_value()? {
                                        body.extensions.push((name.to_owned(), value));
                                    }
                                }
                                _ => body.other_fields.push((name.into(), map.next_value()?)),
                            }
                        }
                        Ok(body)
                    }
                }

                deserializer.deserialize_map(BodyVisitor(std::marker::PhantomData))
            }
        }
    };
}

pub(super) use object_body;

/// The maximum number of other fields in an object.
pub(super) const MAX_OTHER_FIELDS: usize = 64;
