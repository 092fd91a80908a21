//! Converts errors of databases to errors of key stores and sinks.

use std::{error::Error as _, io};

use sqlx::Error;
use stockade_key_auth::{KeyId, KeyStoreError, KeyStoreErrorKind};

/// The error for a failed query.
///
/// Keeps only the message of a database: its details may contain a whole row with hashes.
/// Errors of the drivers do not contain passwords.
pub(crate) fn unavailable(error: Error) -> KeyStoreError {
    let unavailable = |message| KeyStoreError::new(KeyStoreErrorKind::Unavailable, message);
    match error {
        Error::Database(error) => {
            let code = error.code().unwrap_or_default().into_owned();
            unavailable(format!(
                "the database reported an error: {} (code {code})",
                error.message()
            ))
        }
        Error::Tls(source) => unavailable(
            "cannot establish a TLS connection to the database; on a trusted network, add \
             `?sslmode=disable` to its URL"
                .to_owned(),
        )
        .with_source(source),
        error => unavailable("cannot reach the database".to_owned()).with_source(error),
    }
}

/// Converts the error for a sink.
pub(crate) fn io(error: KeyStoreError) -> io::Error {
    io::Error::other(match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

/// The error for an invalid URL, which is not quoted: it may contain a password.
pub(crate) fn invalid_url(problem: &str) -> KeyStoreError {
    KeyStoreError::new(
        KeyStoreErrorKind::Unavailable,
        format!("invalid database URL: {problem}"),
    )
}

/// The error for a URL with an unsupported scheme.
pub(crate) fn unsupported_scheme() -> KeyStoreError {
    invalid_url("it must start with `sqlite:` or `postgres://`, and needs the feature of that name")
}

/// The error for a failed insert, after the hashes were checked to be unique.
pub(crate) fn insert_error(id: &KeyId, error: Error) -> KeyStoreError {
    match error.as_database_error() {
        Some(fault) if fault.is_unique_violation() => KeyStoreError::new(
            KeyStoreErrorKind::Duplicate,
            format!("a key with the id {id} already exists; choose another id"),
        ),
        _ => unavailable(error),
    }
}
