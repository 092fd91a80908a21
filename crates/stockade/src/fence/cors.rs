//! CORS; its settings can be reloaded.
//!
//! tower-http's [`CorsLayer`] makes the decisions. A fence is a single service, so that layer
//! wraps no service: it is called for the CORS headers of a response, and only if the request
//! has an `Origin`.

use std::{
    convert::Infallible,
    fmt,
    future::{Future, Ready, ready},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode,
    header::{self, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY},
};
use stockade_core::guard::{Check, Guard, Head, NoWait, ResponseHook};
use tower::Service;
use tower_http::cors::{AllowHeaders, AllowMethods, AllowOrigin, CorsLayer, ExposeHeaders};
use tower_layer::Layer;

use crate::{ConfigError, CorsConfig};

/// Headers of the fence and of OpenAI's API that a page can read only if they are exposed
/// (Fetch, "CORS-safelisted response-header name").
const EXPOSED: [HeaderName; 20] = [
    header::ALLOW,
    header::RETRY_AFTER,
    header::WWW_AUTHENTICATE,
    HeaderName::from_static("ratelimit"),
    HeaderName::from_static("ratelimit-policy"),
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
    HeaderName::from_static("x-ratelimit-limit-requests"),
    HeaderName::from_static("x-ratelimit-remaining-requests"),
    HeaderName::from_static("x-ratelimit-reset-requests"),
    HeaderName::from_static("x-ratelimit-limit-tokens"),
    HeaderName::from_static("x-ratelimit-remaining-tokens"),
    HeaderName::from_static("x-ratelimit-reset-tokens"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-stockade-coordinates"),
    HeaderName::from_static("x-stockade-dropped-images"),
    HeaderName::from_static("x-stockade-ignored"),
    HeaderName::from_static("x-stockade-image-size"),
    HeaderName::from_static("x-stockade-timeout"),
];

/// The `Vary` of tower-http, which separates the cached responses of different origins.
static VARIES: HeaderValue = HeaderValue::from_static(
    "origin, access-control-request-method, access-control-request-headers",
);

/// The current CORS settings.
#[derive(Clone, Debug)]
pub(super) struct Cors(Arc<ArcSwap<CorsLayer>>);

impl Cors {
    pub(super) fn new(config: &CorsConfig) -> Result<Self, ConfigError> {
        Ok(Self(Arc::new(ArcSwap::from_pointee(layer(config)?))))
    }

    pub(super) fn replace(&self, config: &CorsConfig) -> Result<(), ConfigError> {
        self.0.store(Arc::new(layer(config)?));
        Ok(())
    }

    /// The outer guard, which adds CORS headers to responses.
    pub(super) fn guard(&self) -> CorsGuard {
        CorsGuard(self.clone())
    }

    /// The inner guard, which answers preflight requests after bans and the limit by address.
    pub(super) fn preflight(&self) -> PreflightGuard {
        PreflightGuard(self.clone())
    }
}

/// Adds CORS headers to responses.
#[derive(Clone)]
pub(super) struct CorsGuard(Cors);

/// Answers preflight requests.
#[derive(Clone)]
pub(super) struct PreflightGuard(Cors);

/// The requested method of a preflight request (Fetch, "CORS-preflight request"). Any other
/// `OPTIONS` request is an ordinary request.
fn preflight(head: &Head) -> Option<&HeaderValue> {
    match head.method {
        Method::OPTIONS => head.headers.get(ACCESS_CONTROL_REQUEST_METHOD),
        _ => None,
    }
}

impl Guard for CorsGuard {
    const NAME: &'static str = "cors";
    type Pass = CorsFields;
    type Hook = CorsFields;
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<CorsFields, Self::Wait> {
        let Some(origin) = head.headers.get(ORIGIN) else {
            return Check::Pass(CorsFields(None));
        };
        // The response to a preflight request has all CORS headers already, and a page cannot
        // read its refusal.
        if preflight(head).is_some() {
            return Check::Pass(CorsFields(Some(Box::default())));
        }
        let answer = cors_response(&self.0.0.load(), Method::GET, &[(ORIGIN, origin)]);
        Check::Pass(CorsFields(Some(Box::new(answer.into_parts().0.headers))))
    }

    fn admit(&self, fields: CorsFields, _head: &mut Head) -> CorsFields {
        fields
    }
}

impl Guard for PreflightGuard {
    const NAME: &'static str = "preflight";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        let Some(method) = preflight(head) else {
            return Check::Pass(());
        };
        let Some(origin) = head.headers.get(ORIGIN) else {
            return Check::Pass(());
        };
        let names = head.headers.get(ACCESS_CONTROL_REQUEST_HEADERS);
        let mut headers = vec![(ORIGIN, origin), (ACCESS_CONTROL_REQUEST_METHOD, method)];
        headers.extend(names.map(|names| (ACCESS_CONTROL_REQUEST_HEADERS, names)));
        Check::Answer(Box::new(cors_response(
            &self.0.0.load(),
            Method::OPTIONS,
            &headers,
        )))
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

/// The response of tower-http to a request with this method and these headers, which are all
/// that it considers.
fn cors_response(
    layer: &CorsLayer,
    method: Method,
    headers: &[(HeaderName, &HeaderValue)],
) -> Response<Bytes> {
    type Empty = Ready<Result<Response<Bytes>, Infallible>>;
    let empty = |_: Request<()>| -> Empty { ready(Ok(Response::default())) };
    let mut request = Request::new(());
    *request.method_mut() = method;
    for (name, value) in headers {
        request
            .headers_mut()
            .insert(name, HeaderValue::clone(value));
    }
    let answer = pin!(layer.layer(tower::service_fn(empty)).call(request));
    match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => unreachable!("the layer and its service are always ready"),
    }
}

/// The CORS headers of a response; `None` for a request without an origin.
#[derive(Debug)]
pub(super) struct CorsFields(Option<Box<HeaderMap>>);

impl ResponseHook for CorsFields {
    const UNTIL_BODY_END: bool = false;

    fn on_response(&mut self, _status: StatusCode, headers: &mut HeaderMap) {
        let Some(fields) = &self.0 else {
            headers.append(VARY, VARIES.clone());
            return;
        };
        for (name, value) in &**fields {
            match *name {
                // Keeps the handler's own `Vary`.
                VARY => headers.append(name, value.clone()),
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

impl fmt::Debug for PreflightGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PreflightGuard")
    }
}

fn layer(config: &CorsConfig) -> Result<CorsLayer, ConfigError> {
    let further = header_names("cors.expose_headers", &config.expose_headers)?;
    let exposed = EXPOSED.into_iter().chain(further);
    Ok(CorsLayer::new()
        .allow_origin(origins(config)?)
        .allow_credentials(config.allow_credentials)
        .allow_methods(methods(config)?)
        .allow_headers(request_headers(config)?)
        .expose_headers(ExposeHeaders::list(exposed))
        .max_age(Duration::from_secs(config.max_age_secs.into())))
}

fn origins(config: &CorsConfig) -> Result<AllowOrigin, ConfigError> {
    let all = config.allow_origins.iter().any(|origin| origin == "*");
    if all && config.allow_credentials {
        return Err(ConfigError::setting(
            "cors.allow_credentials",
            "allow_origins = \"*\" would let every web page use the API with its visitor's credentials",
        )
        .help("list the origins in cors.allow_origins: [\"https://app.example.com\"]"));
    }
    let origins = config.allow_origins.iter().map(|origin| {
        let is_origin = origin == "*"
            || origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains('/')
            });
        let value = HeaderValue::from_str(origin).ok().filter(|_| is_origin);
        value.ok_or_else(|| {
            ConfigError::setting("cors.allow_origins", format!("{origin:?} is not an origin"))
                .help("for example https://app.example.com")
        })
    });
    let origins = origins.collect::<Result<Vec<_>, _>>()?;
    Ok(match all {
        true => AllowOrigin::mirror_request(),
        false => AllowOrigin::list(origins),
    })
}

fn methods(config: &CorsConfig) -> Result<AllowMethods, ConfigError> {
    let methods = config.allow_methods.iter().map(|name| {
        // Methods are case-sensitive (RFC 9110, section 9.1): `post` would never match.
        let method = name.parse::<Method>().ok();
        let method = method.filter(|_| !name.bytes().any(|byte| byte.is_ascii_lowercase()));
        method.ok_or_else(|| {
            ConfigError::setting("cors.allow_methods", format!("{name:?} is not a method"))
                .help("for example POST")
        })
    });
    Ok(AllowMethods::list(methods.collect::<Result<Vec<_>, _>>()?))
}

fn request_headers(config: &CorsConfig) -> Result<AllowHeaders, ConfigError> {
    // Not the literal `*`, which browsers do not apply to `Authorization`.
    if config.allow_headers.iter().any(|name| name == "*") {
        return Ok(AllowHeaders::mirror_request());
    }
    let names = header_names("cors.allow_headers", &config.allow_headers)?;
    Ok(AllowHeaders::list(names))
}

fn header_names(setting: &str, names: &[String]) -> Result<Vec<HeaderName>, ConfigError> {
    let names = names.iter().map(|name| {
        name.parse().map_err(|_| {
            ConfigError::setting(setting, format!("{name:?} is not a header name"))
                .help("for example X-Request-Id")
        })
    });
    names.collect()
}
