//! The serialized form of a key in a file.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::Value;
use stockade_core::{
    client::IpPrefix,
    clock::Timestamp,
    identity::{QuotaOverrides, ScopeSet},
};

use crate::{KeyHash, KeyId, KeyRecord, PreviousHash, QuotaFields, SpiffeId};

/// The serialized form of a [`KeyRecord`]. Strings are parsed during deserialization, so that
/// errors carry their position.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileKey {
    #[serde(deserialize_with = "key_id")]
    key_id: Text<KeyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "time"
    )]
    created_at: Option<Text<Time>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "time"
    )]
    revoked_at: Option<Text<Time>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "time"
    )]
    expires_at: Option<Text<Time>>,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "networks"
    )]
    networks: Vec<Text<IpPrefix>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    models: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quotas: Option<QuotaFields>,
    #[serde(default, deserialize_with = "scopes")]
    scopes: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "time"
    )]
    last_used_at: Option<Text<Time>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "time"
    )]
    previous_until: Option<Text<Time>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "optional_hash"
    )]
    previous_hash: Option<Text<KeyHash>>,
    // One of these is the last field: a truncated entry lacks both and is invalid.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "hash"
    )]
    hash: Option<Text<KeyHash>>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "certificate"
    )]
    certificate: Option<Text<SpiffeId>>,
}

/// The error of an entry whose fields do not belong together.
#[derive(Debug)]
pub(super) struct InvalidEntry {
    pub(super) id: KeyId,
    pub(super) problem: &'static str,
}

/// A value serialized with `Display`.
struct Text<T>(T);

impl<T> Serialize for Text<T>
where
    T: Display,
{
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: serde::Serializer,
    {
        serializer.collect_str(&self.0)
    }
}

fn parse<T, E>(name: &str, text: &str) -> Result<Text<T>, E>
where
    T: FromStr<Err: Display>,
    E: serde::de::Error,
{
    text.parse()
        .map(Text)
        .map_err(|error| E::custom(format_args!("{name}: {error}")))
}

fn key_id<'de, D: Deserializer<'de>>(value: D) -> Result<Text<KeyId>, D::Error> {
    parse("key_id", &String::deserialize(value)?)
}

fn hash<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Text<KeyHash>>, D::Error> {
    parse_hash("hash", &String::deserialize(value)?).map(Some)
}

fn certificate<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Text<SpiffeId>>, D::Error> {
    parse("certificate", &String::deserialize(value)?).map(Some)
}

/// Rejects the text of a certificate in databases, so that a file has one form of it.
fn parse_hash<E>(name: &str, text: &str) -> Result<Text<KeyHash>, E>
where
    E: serde::de::Error,
{
    let hash: Text<KeyHash> = parse(name, text)?;
    match hash.0.as_certificate() {
        None => Ok(hash),
        Some(id) => Err(E::custom(format_args!(
            "{name}: a certificate has no hash; write `certificate: {id}` in its place"
        ))),
    }
}

fn optional_hash<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Text<KeyHash>>, D::Error> {
    let text = Option::<String>::deserialize(value)?;
    text.map(|text| parse_hash("previous_hash", &text))
        .transpose()
}

/// A list, or a string separated by commas or spaces.
fn scopes<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<String>, D::Error> {
    struct Scopes;

    impl<'de> Visitor<'de> for Scopes {
        type Value = Vec<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of scopes, or a string of scopes separated by commas or spaces")
        }

        fn visit_unit<E>(self) -> Result<Vec<String>, E> {
            Ok(Vec::new())
        }

        fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
            let scopes = text.split([',', ' ', '\t', '\n']);
            Ok(scopes
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect())
        }

        fn visit_seq<A>(self, seq: A) -> Result<Vec<String>, A::Error>
        where
            A: SeqAccess<'de>,
        {
            Vec::deserialize(SeqAccessDeserializer::new(seq))
        }
    }

    let texts = value.deserialize_any(Scopes)?;
    for text in &texts {
        parse::<stockade_core::identity::Scope, _>("scopes", text)?;
    }
    Ok(texts)
}

fn networks<'de, D: Deserializer<'de>>(value: D) -> Result<Vec<Text<IpPrefix>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(value)?.unwrap_or_default();
    texts.iter().map(|text| parse("networks", text)).collect()
}

fn time<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Text<Time>>, D::Error> {
    let Some(text) = Option::<String>::deserialize(value)? else {
        return Ok(None);
    };
    let time = text.parse::<Time>();
    time.map(|time| Some(Text(time))).map_err(D::Error::custom)
}

/// A [`Timestamp`] in RFC 3339 format.
#[derive(Clone, Copy)]
struct Time(Timestamp);

impl FromStr for Time {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time: jiff::Timestamp = text
            .parse()
            .map_err(|_| "invalid time; use the format 2026-01-31T23:59:59Z")?;
        u64::try_from(time.as_nanosecond())
            .map(|nanos| Self(Timestamp::from_nanos(nanos)))
            .map_err(|_| "the time is before 1970 or after 2554")
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = i128::from(self.0.as_nanos());
        let time = jiff::Timestamp::from_nanosecond(nanos).map_err(|_| fmt::Error)?;
        time.fmt(f)
    }
}

impl FileKey {
    /// Returns the fields that a store may change, in serialized form; `None` for absent ones.
    pub(super) fn changeable(&self) -> Option<Vec<(&'static str, Option<Value>)>> {
        const NAMES: [&str; 14] = [
            "name",
            "owner",
            "revoked_at",
            "expires_at",
            "networks",
            "models",
            "quotas",
            "scopes",
            "metadata",
            "last_used_at",
            "previous_until",
            "previous_hash",
            "hash",
            "certificate",
        ];

        let mut fields = serde_json::to_value(self).ok()?;
        let fields = NAMES.map(|name| (name, fields.get_mut(name).map(Value::take)));
        Some(fields.into())
    }

    /// Returns the record of the entry.
    ///
    /// # Errors
    /// Returns an error when the key has not exactly one of `hash` and `certificate`, or when
    /// fields of a rotation do not belong to it.
    pub(super) fn into_record(self) -> Result<KeyRecord, InvalidEntry> {
        let id = self.key_id.0.clone();
        let invalid = |problem| InvalidEntry { id, problem };
        let time = |time: Option<Text<Time>>| time.map(|Text(Time(at))| at);
        let hash = match (self.hash, self.certificate) {
            (Some(Text(hash)), None) => hash,
            (None, Some(Text(id))) => KeyHash::certificate(id),
            (None, None) => {
                return Err(invalid(
                    "it has neither `hash` nor `certificate`; add one of them",
                ));
            }
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "it has `hash` and `certificate`; remove one of them, or write two keys",
                ));
            }
        };
        let is_certificate = hash.as_certificate().is_some();
        let mut record = KeyRecord::new(self.key_id.0, hash);
        record.name = self.name;
        record.owner = self.owner;
        // Each scope was validated during deserialization.
        let scopes = self.scopes.join(" ").parse::<ScopeSet>();
        record.scopes = match scopes {
            Ok(scopes) => scopes,
            Err(_) => return Err(invalid("`scopes` is not valid")),
        };
        record.models = self.models;
        record.quotas = self.quotas.map(QuotaOverrides::from).unwrap_or_default();
        record.networks = self.networks.into_iter().map(|Text(net)| net).collect();
        record.created = time(self.created_at);
        record.expires = time(self.expires_at);
        record.revoked = time(self.revoked_at);
        record.last_used = time(self.last_used_at);
        record.metadata = self.metadata;
        record.previous = match (self.previous_hash, time(self.previous_until)) {
            (None, None) => None,
            _ if is_certificate => {
                return Err(invalid(
                    "a certificate has no previous secret; remove `previous_hash` and \
                     `previous_until`",
                ));
            }
            (Some(Text(hash)), Some(until)) => Some(PreviousHash { hash, until }),
            _ => {
                return Err(invalid(
                    "`previous_hash` and `previous_until` require each other",
                ));
            }
        };
        Ok(record)
    }
}

impl From<&KeyRecord> for FileKey {
    fn from(record: &KeyRecord) -> Self {
        let time = |at: Option<Timestamp>| at.map(Time).map(Text);
        let previous = record.previous.clone();
        let certificate = record.hash.as_certificate().cloned();
        Self {
            key_id: Text(record.id.clone()),
            hash: certificate.is_none().then(|| Text(record.hash.clone())),
            certificate: certificate.map(Text),
            name: record.name.clone(),
            owner: record.owner.clone(),
            scopes: scope_texts(&record.scopes),
            models: record.models.clone(),
            quotas: (record.quotas != QuotaOverrides::default()).then(|| record.quotas.into()),
            networks: record.networks.iter().copied().map(Text).collect(),
            created_at: time(record.created),
            expires_at: time(record.expires),
            revoked_at: time(record.revoked),
            last_used_at: time(record.last_used),
            previous_until: time(previous.as_ref().map(|previous| previous.until)),
            previous_hash: previous.map(|previous| Text(previous.hash)),
            metadata: record.metadata.clone(),
        }
    }
}

fn scope_texts(scopes: &ScopeSet) -> Vec<String> {
    scopes.iter().map(ToString::to_string).collect()
}
