//! What went wrong, in the layers' words.

use std::{error::Error, fmt};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use stockade_rate_limit::{StoreError, StoreErrorKind};

/// Why a call came to nothing.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    NotConnected,
    /// The answer is none that the script gives.
    UnexpectedReply,
    Redis(RedisError),
}

impl CallError {
    /// Whether another connection is likely to do better.
    ///
    /// A server that became a replica, or gave the slot to another one, keeps the
    /// connection. One that does not answer in time may have gone without a word.
    pub(crate) fn ends_connection(error: &RedisError) -> bool {
        error.is_unrecoverable_error()
            || error.is_io_error()
            || matches!(
                error.kind(),
                ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::Moved)
            )
    }

    fn kind(&self) -> StoreErrorKind {
        match self {
            Self::NotConnected => StoreErrorKind::Unavailable,
            Self::UnexpectedReply => StoreErrorKind::Protocol,
            Self::Redis(error) if error.is_timeout() => StoreErrorKind::Timeout,
            Self::Redis(error) => match error.kind() {
                ErrorKind::Parse
                | ErrorKind::UnexpectedReturnType
                | ErrorKind::Server(ServerErrorKind::ResponseError) => StoreErrorKind::Protocol,
                _ => StoreErrorKind::Unavailable,
            },
        }
    }
}

impl From<CallError> for StoreError {
    fn from(failure: CallError) -> Self {
        Self::new(failure.kind()).with_source(failure)
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected => f.write_str("there is no connection to Redis"),
            Self::UnexpectedReply => f.write_str("Redis answered what the script never does"),
            Self::Redis(error) => error.fmt(f),
        }
    }
}

impl Error for CallError {}
