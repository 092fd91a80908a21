//! Failed logins.

use http::StatusCode;

use crate::error::ApiError;

/// Why a login failed.
#[derive(Clone, Debug)]
pub(super) struct OidcError {
    pub(super) status: StatusCode,
    /// For the user.
    pub(super) message: &'static str,
    /// For the audit log.
    pub(super) reason: String,
    /// The user, where the provider has authenticated one.
    pub(super) user: Option<String>,
}

impl OidcError {
    /// The provider cannot be reached, or its response is not usable.
    pub(super) fn provider(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_GATEWAY,
            message: "The identity provider does not respond as expected. Try again later.",
            reason: reason.into(),
            user: None,
        }
    }

    /// The login was not begun in this browser, or not recently.
    pub(super) fn state(reason: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: "This login has expired or was not begun in this browser. Log in again.",
            reason: reason.to_owned(),
            user: None,
        }
    }

    /// The provider has not authenticated a user.
    pub(super) fn unauthenticated(reason: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            message: "The login at the identity provider has failed. Log in again.",
            reason: reason.into(),
            user: None,
        }
    }

    /// The user may not log in.
    pub(super) fn refused(user: String, message: &'static str, reason: &'static str) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            message,
            reason: reason.to_owned(),
            user: Some(user),
        }
    }
}

/// Logged by the conversion to [`ApiError`].
impl From<sqlx::Error> for OidcError {
    fn from(error: sqlx::Error) -> Self {
        ApiError::from(error).into()
    }
}

impl From<ApiError> for OidcError {
    fn from(error: ApiError) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: "The login has failed because of an error of the server. Try again later.",
            reason: error.message().to_owned(),
            user: None,
        }
    }
}
