//! Which web pages may call the API; changes with a reload.

use std::sync::Arc;

use arc_swap::ArcSwap;
use http::{HeaderValue, Method, header, request::Parts};
use tower_http::cors::{
    AllowCredentials, AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders,
};

use crate::{ConfigError, CorsConfig};

/// The rules in force.
#[derive(Clone, Debug)]
pub(super) struct Cors(Arc<ArcSwap<Rules>>);

#[derive(Debug)]
struct Rules {
    all: bool,
    origins: Vec<HeaderValue>,
    credentials: bool,
}

impl Cors {
    pub(super) fn new(config: &CorsConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(rules(config)?))))
    }

    pub(super) fn replace(&self, config: &CorsConfig) -> Result<(), ConfigError> {
        self.0.store(Arc::new(rules(config)?));
        Ok(())
    }

    pub(super) fn layer(&self) -> CorsLayer {
        let (origins, credentials) = (Arc::clone(&self.0), Arc::clone(&self.0));
        CorsLayer::new()
            .allow_origin(AllowOrigin::predicate(move |origin, _: &Parts| {
                let rules = origins.load();
                rules.all || rules.origins.contains(origin)
            }))
            .allow_credentials(AllowCredentials::predicate(move |_, _| {
                credentials.load().credentials
            }))
            .allow_methods(AllowMethods::list([
                Method::GET,
                Method::HEAD,
                Method::POST,
                Method::PUT,
                Method::PATCH,
                Method::DELETE,
            ]))
            .allow_headers(AllowHeaders::list([
                header::AUTHORIZATION,
                header::CONTENT_TYPE,
                header::ACCEPT,
                http::HeaderName::from_static("x-api-key"),
            ]))
            .expose_headers(ExposeHeaders::list([
                header::RETRY_AFTER,
                http::HeaderName::from_static("x-request-id"),
                http::HeaderName::from_static("ratelimit"),
                http::HeaderName::from_static("ratelimit-policy"),
            ]))
    }
}

fn rules(config: &CorsConfig) -> Result<Rules, ConfigError> {
    let all = config.allow_origins.iter().any(|origin| origin == "*");
    if all && config.allow_credentials {
        return Err(ConfigError::new(
            "cors.allow_credentials: not together with allow_origins = \"*\": every web page \
             could use the API in the name of whoever looks at it; name the origins",
        ));
    }
    let origins = config.allow_origins.iter().map(|origin| {
        let is_origin = origin == "*"
            || origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
            });
        let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin);
        value.ok_or_else(|| {
            ConfigError::new(format!(
                "cors.allow_origins: {origin:?} is no origin; write it like https://app.example.com"
            ))
        })
    });
    Ok(Rules {
        all,
        origins: origins.collect::<Result<_, _>>()?,
        credentials: config.allow_credentials,
    })
}
