//! The exchange of a code for an ID token.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use serde::Deserialize;
use url::form_urlencoded::{Serializer, byte_serialize};
use zeroize::Zeroizing;

use super::{
    Oidc,
    error::OidcError,
    http_client::{parse, uri},
    provider::Metadata,
};

const WHAT: &str = "token endpoint";

#[derive(Deserialize)]
struct TokenResponse {
    id_token: Zeroizing<String>,
}

#[derive(Deserialize)]
struct ErrorResponse {
    error: String,
}

impl Oidc {
    /// The ID token of a code.
    pub(super) async fn exchange(
        &self,
        metadata: &Metadata,
        code: &str,
        verifier: &str,
    ) -> Result<Zeroizing<String>, OidcError> {
        let request = self.request(metadata, code, verifier)?;
        let (status, body) = self.0.http.send(WHAT, request).await?;
        if status == StatusCode::OK {
            return parse::<TokenResponse>(WHAT, &body).map(|response| response.id_token);
        }
        let reason = serde_json::from_slice(&body).map(|ErrorResponse { error }| error);
        let reason = reason.ok().filter(|error| is_code(error));
        let reason = reason.unwrap_or_else(|| format!("status {}", status.as_u16()));
        let text = format!("{WHAT}: the provider answered {reason}");
        match status.is_client_error() {
            true => Err(OidcError::unauthenticated(text)),
            false => Err(OidcError::provider(text)),
        }
    }

    fn request(
        &self,
        metadata: &Metadata,
        code: &str,
        verifier: &str,
    ) -> Result<Request<Full<Bytes>>, OidcError> {
        let config = &self.0.config;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &config.redirect_uri())
            .append_pair("code_verifier", verifier);
        let mut request = Request::post(uri(WHAT, &metadata.token_endpoint)?)
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if uses_form(metadata) {
            form.append_pair("client_id", &config.client_id)
                .append_pair("client_secret", &self.0.secret);
        } else {
            request = request.header(AUTHORIZATION, basic(&config.client_id, &self.0.secret)?);
        }
        let request = request.body(Full::new(Bytes::from(form.finish())));
        request.map_err(|_| OidcError::provider(format!("{WHAT}: the URL is invalid")))
    }
}

/// Whether the provider takes the secret in the form only; the default is HTTP Basic.
fn uses_form(metadata: &Metadata) -> bool {
    let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
    let has = |name: &str| methods.is_some_and(|methods| methods.iter().any(|it| it == name));
    has("client_secret_post") && !has("client_secret_basic")
}

/// RFC 6749, section 2.3.1: both parts are form-encoded first.
fn basic(id: &str, secret: &str) -> Result<HeaderValue, OidcError> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = Zeroizing::new(format!("{}:{}", encode(id), encode(secret)));
    let value = Zeroizing::new(format!("Basic {}", STANDARD.encode(pair.as_bytes())));
    let value = HeaderValue::try_from(&**value);
    let mut value = value.map_err(|_| OidcError::provider("the client secret is invalid"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether a text is the code of an error, such as `access_denied`, and can be logged.
pub(super) fn is_code(text: &str) -> bool {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (1..=64).contains(&text.len()) && text.bytes().all(valid)
}
