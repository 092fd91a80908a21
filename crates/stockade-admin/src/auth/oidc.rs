//! Logins at an OpenID Connect provider: the code flow with PKCE.
//!
//! 1. [`pending`]: a login belongs to the browser that began it, by a cookie, and is completed
//!    once. `state`, `nonce` and the PKCE verifier are derived from the cookie.
//! 2. [`provider`]: the metadata and the keys of the provider are loaded at the first login, so a
//!    failing provider does not prevent the start.
//! 3. [`exchange`]: the code becomes an ID token at the token endpoint.
//! 4. [`id_token`]: signature, issuer, audience, times and nonce are verified.
//! 5. [`account`]: the user of the issuer and the subject, with the role of the claims.
//!
//! The `openidconnect` crate is not used, because it depends on the `rsa` crate
//! (RUSTSEC-2023-0071); signatures are verified with AWS-LC.

mod account;
mod error;
mod exchange;
mod flow;
mod http_client;
mod id_token;
mod page;
mod pending;
mod provider;

use std::{fmt, sync::Arc};

use axum::Router;
use http::Method;
use zeroize::Zeroizing;

use crate::{
    AdminError, OidcConfig,
    api::routes::{Access, Routes},
    state::AdminState,
};

use http_client::HttpClient;
use provider::ProviderCache;

/// The client of an identity provider. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Oidc(Arc<Parts>);

struct Parts {
    config: OidcConfig,
    secret: Zeroizing<String>,
    http: HttpClient,
    provider: ProviderCache,
}

impl Oidc {
    /// Reads the secret of the client; the provider is not contacted.
    ///
    /// # Errors
    /// When the secret cannot be read, or is empty.
    pub(crate) fn new(config: OidcConfig) -> Result<Self, AdminError> {
        let path = config.client_secret_file.display();
        let secret = std::fs::read_to_string(&config.client_secret_file).map_err(|error| {
            let message = format!("cannot read admin.oidc.client_secret_file {path}: {error}");
            AdminError::new(message)
        })?;
        let secret = Zeroizing::new(secret);
        let secret = Zeroizing::new(secret.trim().to_owned());
        if secret.is_empty() {
            let message = format!("admin.oidc.client_secret_file {path} is empty");
            return Err(AdminError::new(message));
        }
        Ok(Self(Arc::new(Parts {
            http: HttpClient::new()?,
            provider: ProviderCache::default(),
            config,
            secret,
        })))
    }

    /// The name of the provider for the login page.
    pub(crate) fn name(&self) -> &str {
        &self.0.config.name
    }
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

/// The routes below `/admin/oidc`.
pub(crate) fn router(state: AdminState) -> Router {
    routes().into_router(state)
}

pub(crate) fn routes() -> Routes {
    Routes::default()
        .undescribed(Method::GET, "/login", Access::Public, flow::login)
        .undescribed(Method::GET, "/callback", Access::Public, flow::callback)
}
