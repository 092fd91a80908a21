//! Which web pages may call the API; changes with a reload.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, Ready, ready},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use stockade_core::{Check, Guard, Head, Hold, Never};
use tower::Service;
use tower_http::cors::{
    AllowCredentials, AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders,
};
use tower_layer::Layer;

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

    pub(super) fn guard(&self) -> CorsGuard {
        let layer = self.layer();
        let plain = Arc::new(ask(&layer, Method::GET, None).into_parts().0.headers);
        CorsGuard { layer, plain }
    }

    fn layer(&self) -> CorsLayer {
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

/// Answers browsers that ask whether they may ask, and tells them whether they may read.
///
/// What the answers are is tower-http's word, which is asked only where there is an origin.
#[derive(Clone)]
pub struct CorsGuard {
    layer: CorsLayer,
    /// The fields of a response to whoever names no origin.
    plain: Arc<HeaderMap>,
}

impl Guard for CorsGuard {
    const NAME: &'static str = "cors";
    type Pass = CorsFields;
    type Hold = CorsFields;
    type Wait = Never<CorsFields>;

    fn check(&self, head: &Head) -> Check<CorsFields, Self::Wait> {
        let origin = head.headers.get(header::ORIGIN);
        if head.method == Method::OPTIONS {
            return Check::Answer(Box::new(ask(&self.layer, Method::OPTIONS, origin)));
        }
        Check::Pass(CorsFields(match origin {
            None => Arc::clone(&self.plain),
            origin => {
                let answer = ask(&self.layer, head.method.clone(), origin);
                Arc::new(answer.into_parts().0.headers)
            }
        }))
    }

    fn admit(&self, fields: CorsFields, _head: &mut Head) -> CorsFields {
        fields
    }
}

/// What tower-http answers to a request of this method and origin: none of our rules looks
/// at more than these.
fn ask(layer: &CorsLayer, method: Method, origin: Option<&HeaderValue>) -> Response<Bytes> {
    type Empty = Ready<Result<Response<Bytes>, Infallible>>;
    let empty = |_: Request<()>| -> Empty { ready(Ok(Response::default())) };
    let mut request = Request::new(());
    *request.method_mut() = method;
    if let Some(origin) = origin {
        request.headers_mut().insert(header::ORIGIN, origin.clone());
    }
    let answer = pin!(layer.layer(tower::service_fn(empty)).call(request));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("none of our rules waits"),
    }
}

/// The fields of a response that browsers go by.
#[derive(Debug)]
pub struct CorsFields(Arc<HeaderMap>);

impl Hold for CorsFields {
    const UNTIL_BODY_END: bool = false;

    fn head(&mut self, _status: StatusCode, headers: &mut HeaderMap) {
        for (name, value) in &*self.0 {
            match *name {
                // What others have said stays true.
                header::VARY => headers.append(name, value.clone()),
                _ => headers.insert(name, value.clone()).is_some(),
            };
        }
    }
}

impl fmt::Debug for CorsGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CorsGuard")
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
