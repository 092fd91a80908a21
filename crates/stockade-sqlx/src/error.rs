//! What went wrong in a database, in the words of a key store, and of a sink.

use std::{error::Error as _, io};

use sqlx::Error;
use stockade_key_auth::{KeyId, KeyStoreError, KeyStoreErrorKind};

/// The database did not do what it was asked to.
///
/// What a database reports beside its message can hold a whole row, hashes too, so the
/// message is all that is kept of it. No error of a driver shows a password.
pub(crate) fn unavailable(error: Error) -> KeyStoreError {
    let unavailable = |message| KeyStoreError::new(KeyStoreErrorKind::Unavailable, message);
    match error {
        Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            unavailable(format!(
                "the database refused: {} (code {code})",
                error.message()
            ))
        }
        Error::Tls(source) => unavailable(
            "no TLS connection to the database; within a network that you trust add \
             `?sslmode=disable` to its URL"
                .to_owned(),
        )
        .with_source(source),
        error => unavailable("the database cannot be reached".to_owned()).with_source(error),
    }
}

/// The same, for those who write records.
pub(crate) fn io(error: KeyStoreError) -> io::Error {
    io::Error::other(match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

/// The URL of the database makes no sense. The URL is not shown: it may hold a password.
pub(crate) fn invalid_url(problem: &str) -> KeyStoreError {
    KeyStoreError::new(
        KeyStoreErrorKind::Unavailable,
        format!("the URL of the database cannot be read: {problem}"),
    )
}

/// The URL is of no database that there is code for.
pub(crate) fn unsupported_scheme() -> KeyStoreError {
    invalid_url("it begins with `sqlite:` or `postgres://`, and the feature of that name is needed")
}

/// What an insert that failed means, once the hashes are known to be new.
pub(crate) fn insert_error(id: &KeyId, error: Error) -> KeyStoreError {
    match error.as_database_error() {
        Some(fault) if fault.is_unique_violation() => KeyStoreError::new(
            KeyStoreErrorKind::Duplicate,
            format!("there is a key with the id {id} already; choose another id"),
        ),
        _ => unavailable(error),
    }
}
