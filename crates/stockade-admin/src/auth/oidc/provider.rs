//! The metadata and the keys of the provider (OpenID Connect Discovery 1.0).

use std::sync::Arc;

use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{
    Oidc,
    error::OidcError,
    http_client::{HttpClient, uri},
};

/// How long metadata and keys are used.
pub(super) const MAX_AGE_MS: i64 = 3_600_000;
/// The same for keys, after an ID token with an unknown one.
pub(super) const UNKNOWN_KEY_MS: i64 = 10_000;
/// After a failure, the provider is not asked again for this time.
const RETRY_MS: i64 = 5_000;
const MAX_KEYS: usize = 100;

/// A provider.
pub(super) struct Provider {
    pub(super) metadata: Metadata,
    pub(super) keys: Vec<Jwk>,
}

#[derive(Deserialize)]
pub(super) struct Metadata {
    issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    pub(super) token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207.
    #[serde(default)]
    pub(super) authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Value>,
}

/// The last known provider.
#[derive(Default)]
pub(super) struct ProviderCache(Mutex<Cached>);

#[derive(Default)]
struct Cached {
    provider: Option<Arc<Provider>>,
    loaded: i64,
    failure: Option<(i64, OidcError)>,
}

impl Oidc {
    /// The provider, loaded at most this long ago; concurrent logins wait for one load. While it
    /// cannot be loaded again, the last one is used.
    pub(super) async fn provider(
        &self,
        now: i64,
        max_age: i64,
    ) -> Result<Arc<Provider>, OidcError> {
        let mut cached = self.0.provider.0.lock().await;
        let provider = cached.provider.clone();
        if let Some(provider) = &provider
            && now - cached.loaded < max_age
        {
            return Ok(Arc::clone(provider));
        }
        if let Some((time, error)) = &cached.failure
            && now - time < RETRY_MS
        {
            return provider.ok_or_else(|| error.clone());
        }
        match load(&self.0.http, self.0.config.issuer.as_str()).await {
            Ok(provider) => {
                let provider = Arc::new(provider);
                *cached = Cached {
                    provider: Some(Arc::clone(&provider)),
                    loaded: now,
                    failure: None,
                };
                Ok(provider)
            }
            Err(error) => {
                tracing::warn!(
                    error = error.reason,
                    "cannot load the identity provider of the administration"
                );
                cached.failure = Some((now, error.clone()));
                provider.ok_or(error)
            }
        }
    }
}

async fn load(http: &HttpClient, issuer: &str) -> Result<Provider, OidcError> {
    let base = issuer.trim_end_matches('/');
    let url = format!("{base}/.well-known/openid-configuration");
    let metadata: Metadata = http.get("discovery", &url).await?;
    if metadata.issuer != issuer {
        return Err(OidcError::provider(
            "discovery: the issuer of the document is not admin.oidc.issuer",
        ));
    }
    uri("authorization endpoint", &metadata.authorization_endpoint)?;
    uri("token endpoint", &metadata.token_endpoint)?;
    let set: KeySet = http.get("keys", &metadata.jwks_uri).await?;
    // Unknown kinds of keys are ignored, as RFC 7517, section 5, requires.
    let keys = set.keys.into_iter().take(MAX_KEYS);
    let keys = keys.filter_map(|key| serde_json::from_value(key).ok());
    Ok(Provider {
        metadata,
        keys: keys.collect(),
    })
}
