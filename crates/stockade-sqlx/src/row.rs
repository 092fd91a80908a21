//! Converts keys to and from rows, independently of the database.

use std::{collections::BTreeMap, fmt::Display};

use serde::{Serialize, de::DeserializeOwned};
use sqlx::{
    ColumnIndex, Database, Decode, Encode, Executor, FromRow, IntoArguments, Row, Type,
    query::Query,
};
use stockade_core::{clock::Timestamp, identity::ScopeSet};
use stockade_key_auth::{
    KeyHash, KeyId, KeyRecord, KeyStoreError, KeyStoreErrorKind, PreviousHash, QuotaFields,
};

use crate::error::unavailable;

/// Finds another key that has one of a key's hashes.
const SAME_HASH: &str = "SELECT id FROM stockade_keys \
    WHERE id <> $1 AND (hash IN ($2, $3) OR previous_hash IN ($2, $3)) LIMIT 1";

/// The columns of a key.
pub(crate) struct KeyRow {
    id: String,
    hash: String,
    previous_hash: Option<String>,
    previous_until: Option<i64>,
    name: Option<String>,
    owner: Option<String>,
    scopes: String,
    models: Option<String>,
    quotas: String,
    networks: String,
    created: Option<i64>,
    expires: Option<i64>,
    revoked: Option<i64>,
    last_used: Option<i64>,
    metadata: String,
}

impl KeyRow {
    /// The row of a record.
    ///
    /// # Errors
    /// [`Invalid`](KeyStoreErrorKind::Invalid) when a column cannot store a value.
    pub(crate) fn from_record(record: &KeyRecord) -> Result<Self, KeyStoreError> {
        let invalid = |problem: &str| {
            KeyStoreError::new(
                KeyStoreErrorKind::Invalid,
                format!("the key {} cannot be stored: {problem}", record.id),
            )
        };
        let time = |at: Option<Timestamp>| {
            at.map(|at| i64::try_from(at.as_nanos()))
                .transpose()
                .map_err(|_| invalid("a time is after the year 2262"))
        };
        let models = record.models.iter().flatten();
        let metadata = record.metadata.iter().flat_map(|(key, value)| [key, value]);
        let mut strings = record
            .name
            .iter()
            .chain(&record.owner)
            .chain(models)
            .chain(metadata);
        // PostgreSQL cannot store NUL, and C programs truncate strings there.
        if strings.any(|text| text.contains('\0')) {
            return Err(invalid("a field contains a NUL character"));
        }
        let scopes: Vec<_> = record.scopes.iter().map(|scope| scope.as_str()).collect();
        let networks: Vec<_> = record.networks.iter().map(ToString::to_string).collect();
        let previous = record.previous.as_ref();
        Ok(Self {
            id: record.id.as_str().to_owned(),
            hash: record.hash.to_string(),
            previous_hash: previous.map(|previous| previous.hash.to_string()),
            previous_until: time(previous.map(|previous| previous.until))?,
            name: record.name.clone(),
            owner: record.owner.clone(),
            scopes: to_json(&scopes),
            models: record.models.as_ref().map(to_json),
            quotas: to_json(&QuotaFields::from(record.quotas)),
            networks: to_json(&networks),
            created: time(record.created)?,
            expires: time(record.expires)?,
            revoked: time(record.revoked)?,
            last_used: time(record.last_used)?,
            metadata: to_json(&record.metadata),
        })
    }

    /// The record of an untrusted row.
    ///
    /// # Errors
    /// When a column is invalid. The error does not contain the hash.
    fn into_record(self) -> Result<KeyRecord, String> {
        let id: KeyId = with_column("id", self.id.parse())?;
        let mut record = KeyRecord::new(id, hash("hash", &self.hash)?);
        record.name = self.name;
        record.owner = self.owner;
        let scopes: Vec<String> = from_json("scopes", &self.scopes)?;
        let scopes: Result<ScopeSet, _> = scopes.iter().map(|text| text.parse()).collect();
        record.scopes = with_column("scopes", scopes)?;
        record.models = self
            .models
            .map(|text| from_json("models", &text))
            .transpose()?;
        record.quotas = from_json::<QuotaFields>("quotas", &self.quotas)?.into();
        let networks: Vec<String> = from_json("networks", &self.networks)?;
        let networks: Result<_, _> = networks.iter().map(|text| text.parse()).collect();
        record.networks = with_column("networks", networks)?;
        record.created = time("created", self.created)?;
        record.expires = time("expires", self.expires)?;
        record.revoked = time("revoked", self.revoked)?;
        record.last_used = time("last_used", self.last_used)?;
        record.metadata = from_json::<BTreeMap<_, _>>("metadata", &self.metadata)?;
        let until = time("previous_until", self.previous_until)?;
        record.previous = match (self.previous_hash, until) {
            (Some(text), Some(until)) => Some(PreviousHash {
                hash: hash("previous_hash", &text)?,
                until,
            }),
            (None, None) => None,
            _ => return Err("previous_hash and previous_until go together".to_owned()),
        };
        match record.has_known_secret() {
            true => Err(KeyStoreError::known_secret(&record.id).to_string()),
            false => Ok(record),
        }
    }

    /// Binds all columns as `$1` to `$15`, in the order of the table.
    pub(crate) fn bind<'q, DB>(
        &'q self,
        query: Query<'q, DB, DB::Arguments>,
    ) -> Query<'q, DB, DB::Arguments>
    where
        DB: Database,
        &'q str: Encode<'q, DB> + Type<DB>,
        Option<&'q str>: Encode<'q, DB>,
        Option<i64>: Encode<'q, DB>,
        i64: Type<DB>,
    {
        query
            .bind(self.id.as_str())
            .bind(self.hash.as_str())
            .bind(self.previous_hash.as_deref())
            .bind(self.previous_until)
            .bind(self.name.as_deref())
            .bind(self.owner.as_deref())
            .bind(self.scopes.as_str())
            .bind(self.models.as_deref())
            .bind(self.quotas.as_str())
            .bind(self.networks.as_str())
            .bind(self.created)
            .bind(self.expires)
            .bind(self.revoked)
            .bind(self.last_used)
            .bind(self.metadata.as_str())
    }

    /// Checks that no other key has one of this key's hashes.
    ///
    /// # Errors
    /// [`Duplicate`](KeyStoreErrorKind::Duplicate) when one has.
    pub(crate) async fn check_unique_hashes<'q, 'c, DB>(
        &'q self,
        transaction: impl Executor<'c, Database = DB>,
    ) -> Result<(), KeyStoreError>
    where
        DB: Database<Arguments: IntoArguments<DB>>,
        &'q str: Encode<'q, DB> + Type<DB>,
        Option<&'q str>: Encode<'q, DB>,
        for<'r> String: Decode<'r, DB> + Type<DB>,
        usize: ColumnIndex<DB::Row>,
    {
        let other = sqlx::query(SAME_HASH)
            .bind(self.id.as_str())
            .bind(self.hash.as_str())
            .bind(self.previous_hash.as_deref())
            .fetch_optional(transaction)
            .await
            .map_err(unavailable)?;
        let Some(other) = other else {
            return Ok(());
        };
        let other: String = other.try_get(0).map_err(unavailable)?;
        let id = &self.id;
        let is_certificate = self.hash.parse::<KeyHash>();
        let is_certificate = is_certificate.is_ok_and(|hash| hash.as_certificate().is_some());
        Err(KeyStoreError::new(
            KeyStoreErrorKind::Duplicate,
            match is_certificate {
                true => format!(
                    "the keys {id} and {other:?} have the same certificate; remove one of them"
                ),
                false => format!(
                    "the keys {id} and {other:?} have the same hash; issue a new key for one of them"
                ),
            },
        ))
    }
}

/// A row and its id, which is known even if the row is invalid.
pub(crate) struct StoredKey {
    pub(crate) id: String,
    pub(crate) record: Result<KeyRecord, KeyStoreError>,
}

impl StoredKey {
    pub(crate) fn from_row<'r, R>(row: &'r R) -> Self
    where
        R: Row,
        KeyRow: FromRow<'r, R>,
        &'static str: ColumnIndex<R>,
        String: Decode<'r, R::Database> + Type<R::Database>,
    {
        let id: String = row.try_get("id").unwrap_or_else(|_| "?".to_owned());
        let record = with_column("row", KeyRow::from_row(row)).and_then(KeyRow::into_record);
        let record = record.map_err(|problem| {
            // The id is untrusted: it is truncated and escaped.
            let id: String = id.chars().take(64).collect();
            KeyStoreError::new(
                KeyStoreErrorKind::Corrupt,
                format!("the row of the key {id:?} in the database is invalid: {problem}"),
            )
        });
        Self { id, record }
    }
}

impl<'r, R> FromRow<'r, R> for KeyRow
where
    R: Row,
    &'static str: ColumnIndex<R>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
{
    fn from_row(row: &'r R) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            hash: row.try_get("hash")?,
            previous_hash: row.try_get("previous_hash")?,
            previous_until: row.try_get("previous_until")?,
            name: row.try_get("name")?,
            owner: row.try_get("owner")?,
            scopes: row.try_get("scopes")?,
            models: row.try_get("models")?,
            quotas: row.try_get("quotas")?,
            networks: row.try_get("networks")?,
            created: row.try_get("created")?,
            expires: row.try_get("expires")?,
            revoked: row.try_get("revoked")?,
            last_used: row.try_get("last_used")?,
            metadata: row.try_get("metadata")?,
        })
    }
}

fn with_column<T, E>(column: &str, result: Result<T, E>) -> Result<T, String>
where
    E: Display,
{
    result.map_err(|error| format!("{column}: {error}"))
}

fn to_json<T>(value: &T) -> String
where
    T: Serialize + ?Sized,
{
    serde_json::to_string(value).expect("strings and numbers can be written as JSON")
}

fn from_json<T>(column: &str, text: &str) -> Result<T, String>
where
    T: DeserializeOwned,
{
    with_column(column, serde_json::from_str(text))
}

/// Parses a hash in its canonical form only: the database compares hashes as text, so another
/// form would hide a duplicate.
fn hash(column: &str, text: &str) -> Result<KeyHash, String> {
    let hash: KeyHash = with_column(column, text.parse())?;
    match hash.to_string() == text {
        true => Ok(hash),
        false => Err(format!(
            "{column}: write the hash as `sha256:` and lowercase hex digits"
        )),
    }
}

fn time(column: &str, nanos: Option<i64>) -> Result<Option<Timestamp>, String> {
    nanos
        .map(|nanos| u64::try_from(nanos).map(Timestamp::from_nanos))
        .transpose()
        .map_err(|_| format!("{column}: the time is before 1970"))
}
