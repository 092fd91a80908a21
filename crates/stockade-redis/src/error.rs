//! The error of calls to Redis.

use std::{error::Error, fmt};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use stockade_rate_limit::{StoreError, StoreErrorKind};

/// The reason why a call failed.
#[derive(Clone, Debug)]
pub(crate) enum CallError {
    NotConnected,
    /// The reply does not match the script.
    UnexpectedReply,
    Redis(RedisError),
}

impl CallError {
    /// Whether another connection is likely to succeed.
    ///
    /// A server that became a replica, or gave the slot to another one, keeps the connection
    /// open. A server that does not reply in time may be unreachable.
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
            Self::NotConnected => f.write_str("not connected to Redis"),
            Self::UnexpectedReply => f.write_str("Redis sent an unexpected reply"),
            Self::Redis(error) => error.fmt(f),
        }
    }
}

impl Error for CallError {}
