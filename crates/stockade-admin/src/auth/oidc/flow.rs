//! The two routes of a login.

use axum::{
    extract::{Request, State},
    response::{IntoResponse as _, Redirect, Response},
};
use ctutils::CtEq as _;
use http::header::SET_COOKIE;
use serde::Deserialize;
use stockade_audit::{EventKind, SecurityEvent};
use url::Url;
use zeroize::Zeroizing;

use super::{
    Oidc,
    error::OidcError,
    exchange::is_code,
    id_token::{self, Expected, IdToken, IdTokenError},
    page,
    pending::{self, PendingLogin},
    provider::{MAX_AGE_MS, Provider, UNKNOWN_KEY_MS},
};
use crate::{
    auth::{Client, LoggedIn, SessionCookie, login::start_session, session::Lifetime},
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// The parameters of the redirect to the callback (RFC 6749, section 4.1.2; RFC 9207).
#[derive(Deserialize)]
struct Callback {
    state: Option<String>,
    code: Option<Zeroizing<String>>,
    error: Option<String>,
    iss: Option<String>,
}

/// Sends the browser to the provider.
pub(super) async fn login(
    State(state): State<AdminState>,
    cookie: SessionCookie,
) -> ApiResult<Response> {
    let oidc = configured(&state)?;
    let cookie = cookie.over_https(oidc.0.config.is_https());
    let result = begin(&state, oidc, &cookie).await;
    Ok(result.unwrap_or_else(|error| page::failure(error.status, error.message)))
}

async fn begin(
    state: &AdminState,
    oidc: &Oidc,
    cookie: &SessionCookie,
) -> Result<Response, OidcError> {
    let now = state.now();
    let provider = oidc.provider(now, MAX_AGE_MS).await?;
    let pending = PendingLogin::new().map_err(ApiError::from)?;
    let endpoint = Url::parse(&provider.metadata.authorization_endpoint);
    let mut url = endpoint.map_err(|_| OidcError::provider("invalid authorization endpoint"))?;
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", &oidc.0.config.client_id)
        .append_pair("redirect_uri", &oidc.0.config.redirect_uri())
        .append_pair("scope", "openid profile email")
        .append_pair("state", &pending.state())
        .append_pair("nonce", &pending.nonce())
        .append_pair("code_challenge", &pending.challenge())
        .append_pair("code_challenge_method", "S256");
    pending.store(now, state.database().pool()).await?;
    let cookie = [(SET_COOKIE, pending.cookie(cookie))];
    let mut response = (cookie, Redirect::to(url.as_str())).into_response();
    page::secure(&mut response);
    Ok(response)
}

/// Completes a login after the redirect from the provider.
pub(super) async fn callback(
    State(state): State<AdminState>,
    client: Client,
    cookie: SessionCookie,
    request: Request,
) -> ApiResult<Response> {
    let oidc = configured(&state)?;
    let cookie = cookie.over_https(oidc.0.config.is_https());
    let result = complete(&state, oidc, &client, &cookie, request).await;
    let mut response = match result {
        Ok(logged_in) => {
            let lifetime = Lifetime::of(&state.0.config).max();
            let session = cookie.set(&logged_in.session.secret, lifetime);
            ([(SET_COOKIE, session)], page::success()).into_response()
        }
        Err(error) => {
            let event = SecurityEvent::new(EventKind::LoginFailed);
            let event = event.detail(format!("identity provider: {}", error.reason));
            let event = match error.user {
                Some(user) => event.user(user),
                None => event,
            };
            state.record_as(&client, event);
            page::failure(error.status, error.message)
        }
    };
    let clear = pending::clear(&cookie);
    response.headers_mut().append(SET_COOKIE, clear);
    Ok(response)
}

async fn complete(
    state: &AdminState,
    oidc: &Oidc,
    client: &Client,
    cookie: &SessionCookie,
    request: Request,
) -> Result<LoggedIn, OidcError> {
    let now = state.now();
    let (parts, _) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default();
    let callback: Callback = serde_urlencoded::from_str(query)
        .map_err(|_| OidcError::state("the parameters of the callback are invalid"))?;
    let pending = PendingLogin::of(&parts, cookie);
    let pending = pending.ok_or(OidcError::state("no login was begun in this browser"))?;
    let given = callback.state.as_deref().unwrap_or_default();
    if !bool::from(given.as_bytes().ct_eq(pending.state().as_bytes())) {
        return Err(OidcError::state("wrong state"));
    }
    if !pending.take(now, state.database().pool()).await? {
        return Err(OidcError::state("the login has expired or was completed"));
    }
    let provider = oidc.provider(now, MAX_AGE_MS).await?;
    oidc.check_issuer(&provider, callback.iss.as_deref())?;
    if let Some(error) = callback.error {
        let error = if is_code(&error) { &*error } else { "an error" };
        let reason = format!("the provider answered {error}");
        return Err(OidcError::unauthenticated(reason));
    }
    let code = callback.code.as_deref().filter(|code| !code.is_empty());
    let code = code.ok_or_else(|| OidcError::unauthenticated("the callback has no code"))?;
    let verifier = pending.verifier();
    let text = oidc.exchange(&provider.metadata, code, &verifier).await?;
    let token = oidc.verify(&text, &provider, &pending, now).await?;
    let user = oidc.user(state, client, &token).await?;
    Ok(start_session(state, client, user, cookie.value()).await?)
}

impl Oidc {
    /// The issuer of a redirect, which prevents mix-up attacks (RFC 9207).
    fn check_issuer(&self, provider: &Provider, issuer: Option<&str>) -> Result<(), OidcError> {
        let is_required = provider
            .metadata
            .authorization_response_iss_parameter_supported;
        match issuer {
            Some(issuer) if issuer == self.0.config.issuer.as_str() => Ok(()),
            None if !is_required => Ok(()),
            _ => Err(OidcError::unauthenticated("wrong issuer of the callback")),
        }
    }

    /// Verifies an ID token; with an unknown key, after the keys have been loaded again.
    async fn verify(
        &self,
        text: &str,
        provider: &Provider,
        pending: &PendingLogin,
        now: i64,
    ) -> Result<IdToken, OidcError> {
        let nonce = pending.nonce();
        let expected = Expected {
            issuer: self.0.config.issuer.as_str(),
            client_id: &self.0.config.client_id,
            nonce: &nonce,
            now: u64::try_from(now / 1000).unwrap_or_default(),
        };
        let mut result = id_token::verify(text, &provider.keys, &expected);
        if matches!(result, Err(IdTokenError::UnknownKey)) {
            let newer = self.provider(now, UNKNOWN_KEY_MS).await?;
            result = id_token::verify(text, &newer.keys, &expected);
        }
        result.map_err(|error| {
            let reason = match error {
                IdTokenError::UnknownKey => "unknown key",
                IdTokenError::Invalid(reason) => reason,
            };
            // The audit log redacts what follows `token:`.
            OidcError::unauthenticated(format!("ID token refused, {reason}"))
        })
    }
}

fn configured(state: &AdminState) -> ApiResult<&Oidc> {
    let oidc = state.0.oidc.as_ref();
    oidc.ok_or_else(|| ApiError::not_found("no such route"))
}
