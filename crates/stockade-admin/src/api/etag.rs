//! Conditional changes: RFC 9110, section 13.1.1.

use axum::{
    Json,
    extract::FromRequestParts,
    response::{IntoResponse, Response},
};
use http::{
    StatusCode,
    header::{ETAG, IF_MATCH},
    request::Parts,
};
use serde::Serialize;

use crate::error::{ApiError, ApiResult};

/// The entity tags that a change is for. A change without them could overwrite another one that
/// the client has not seen, so it is refused.
#[derive(Debug)]
pub(crate) struct IfMatch(String);

impl IfMatch {
    /// # Errors
    /// Returns an error if the current entity tag is another one.
    pub(crate) fn check(&self, current: &str) -> ApiResult<()> {
        let mut tags = self.0.split(',').map(str::trim);
        match tags.any(|tag| tag == "*" || tag == current) {
            true => Ok(()),
            false => Err(ApiError::changed_meanwhile()),
        }
    }
}

/// An item with its entity tag.
#[derive(Debug)]
pub(crate) struct Tagged<T> {
    pub(crate) tag: String,
    pub(crate) item: T,
}

impl<T> IntoResponse for Tagged<T>
where
    T: Serialize,
{
    fn into_response(self) -> Response {
        ([(ETAG, self.tag)], Json(self.item)).into_response()
    }
}

impl<S> FromRequestParts<S> for IfMatch
where
    S: Sync,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let value = parts.headers.get(IF_MATCH);
        let value = value.and_then(|value| value.to_str().ok());
        let value = value.ok_or_else(|| {
            ApiError::new(
                StatusCode::PRECONDITION_REQUIRED,
                "PRECONDITION_REQUIRED",
                "send the header if-match with the etag that you have read",
            )
        })?;
        Ok(Self(value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_tags() {
        for (value, matches) in [
            ("\"v1\"", true),
            ("\"v0\", \"v1\"", true),
            ("*", true),
            ("\"v2\"", false),
            ("W/\"v1\"", false),
            ("v1", false),
        ] {
            let result = IfMatch(value.to_owned()).check("\"v1\"");
            assert_eq!(result.is_ok(), matches, "{value}");
        }
    }
}
