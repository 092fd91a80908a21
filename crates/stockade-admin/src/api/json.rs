//! Extractors whose refusals are errors of the API.

use axum::{
    body::{self, Bytes},
    extract::{FromRequest, FromRequestParts, Path, Request},
};
use http::{StatusCode, header::CONTENT_TYPE, request::Parts};
use serde::de::DeserializeOwned;

use crate::error::{ApiError, ApiResult};

/// The maximum length of a body, in bytes.
pub(super) const LIMIT: usize = 1 << 20;

/// A JSON body of up to 1 MiB, or another limit. An invalid field is a `VALIDATION_ERROR` that names it.
#[derive(Debug)]
pub(crate) struct ApiJson<T, const MAX: usize = LIMIT>(pub(crate) T);

/// The query parameters. Unknown ones are ignored, so that several types can read one query.
#[derive(Debug)]
pub(crate) struct ApiQuery<T>(pub(crate) T);

/// The parameters of the path, decoded.
#[derive(Debug)]
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<S, T, const MAX: usize> FromRequest<S> for ApiJson<T, MAX>
where
    S: Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> ApiResult<Self> {
        parse_json(&read_json(request, MAX).await?).map(Self)
    }
}

/// Reads a body, and checks its type.
pub(super) async fn read_json(request: Request, max: usize) -> ApiResult<Bytes> {
    // Forms of other sites cannot send this type without a preflight request.
    if !is_json(request.headers().get(CONTENT_TYPE)) {
        return Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_MEDIA_TYPE",
            "the content type must be application/json",
        ));
    }
    let bytes = body::to_bytes(request.into_body(), max).await;
    bytes.map_err(|_| {
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "PAYLOAD_TOO_LARGE",
            format!("the body is incomplete or larger than {max} bytes"),
        )
    })
}

/// Parses a body.
pub(super) fn parse_json<T>(bytes: &[u8]) -> ApiResult<T>
where
    T: DeserializeOwned,
{
    if bytes.trim_ascii().is_empty() {
        return Err(invalid(
            ".",
            "the body is empty; send at least {}".to_owned(),
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut json);
    let value = value.map_err(|error| {
        let path = error.path().to_string();
        invalid(&path, error.inner().to_string())
    })?;
    json.end()
        .map_err(|error| invalid(".", error.to_string()))?;
    Ok(value)
}

fn is_json(value: Option<&http::HeaderValue>) -> bool {
    let value = value.and_then(|value| value.to_str().ok());
    let essence = value.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

impl<S, T> FromRequestParts<S> for ApiQuery<T>
where
    S: Sync,
    T: DeserializeOwned,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> ApiResult<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(query.as_bytes());
        // PostgreSQL has no texts with NUL.
        if let Some((name, _)) = pairs.clone().find(|(_, value)| value.contains('\0')) {
            return Err(ApiError::invalid(
                name.into_owned(),
                "contains a NUL character",
            ));
        }
        let value = serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs));
        value.map(Self).map_err(|error| {
            let path = error.path().to_string();
            invalid(&path, error.inner().to_string())
        })
    }
}

impl<S, T> FromRequestParts<S> for ApiPath<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> ApiResult<Self> {
        if parts.uri.path().contains("%00") {
            return Err(ApiError::not_found("the path contains a NUL character"));
        }
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value))
            .map_err(|_| ApiError::not_found("the path is not valid UTF-8"))
    }
}

/// The error of a field; `.` is the value as a whole.
fn invalid(path: &str, message: String) -> ApiError {
    let error = ApiError::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message);
    match path {
        "." => error,
        path => error.param(path.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Value {
        numbers: Vec<u8>,
    }

    async fn read(content_type: &str, body: impl Into<Body>) -> ApiResult<ApiJson<Value>> {
        let request = Request::post("/").header(CONTENT_TYPE, content_type);
        let request = request.body(body.into()).expect("the request is valid");
        ApiJson::from_request(request, &()).await
    }

    #[tokio::test]
    async fn reads_json() {
        let ApiJson(value) = read("application/json; charset=utf-8", r#"{"numbers":[1]}"#)
            .await
            .unwrap();
        assert_eq!(value.numbers, [1]);
    }

    // M02
    #[tokio::test]
    async fn refuses_other_content_types() {
        for content_type in ["text/plain", "", "application/jsonp"] {
            let error = read(content_type, r#"{"numbers":[]}"#).await.unwrap_err();
            assert_eq!(error.code(), "UNSUPPORTED_MEDIA_TYPE", "{content_type}");
        }
    }

    #[tokio::test]
    async fn names_the_invalid_field() {
        for (body, param) in [
            (r#"{"numbers":[1,300]}"#, Some("numbers[1]")),
            (r#"{"numbers":[],"other":1}"#, Some("other")),
            (r#"{"numbers":[]} {}"#, None),
            ("", None),
        ] {
            let error = read("application/json", body).await.unwrap_err();
            assert_eq!(error.code(), "VALIDATION_ERROR");
            assert_eq!(error.field(), param, "{body}");
        }
    }

    #[tokio::test]
    async fn refuses_large_bodies() {
        let error = read("application/json", " ".repeat(LIMIT + 1))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "PAYLOAD_TOO_LARGE");
    }
}
