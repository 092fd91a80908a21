//! Two formats of `/metrics`: JSON of the administration, and Prometheus of the server.

use axum::{
    Router,
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, header::ACCEPT};
use tower::ServiceExt as _;

use crate::api::routes;

/// Sends requests for Prometheus metrics to the gateway, whose keys need `metrics:read` for them.
/// Requests for JSON are those of the administration, if it has such a route.
pub(super) async fn prometheus(
    State(gateway): State<Router>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path() != routes::METRICS || accepts_json(request.headers()) {
        return next.run(request).await;
    }
    gateway.oneshot(request).await.into_response()
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let headers = headers.get_all(ACCEPT).iter();
    let types = headers.filter_map(|header| header.to_str().ok());
    let mut types = types.flat_map(|header| header.split(','));
    types.any(|text| {
        let essence = text.split(';').next().unwrap_or_default();
        essence.trim().eq_ignore_ascii_case("application/json")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_json_among_the_accepted_types() {
        for (accept, expected) in [
            ("application/json", true),
            ("text/html, Application/JSON;q=0.9", true),
            ("*/*", false),
            ("application/openmetrics-text;version=1.0.0", false),
            ("text/plain;version=application/json", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, accept.parse().unwrap());
            assert_eq!(accepts_json(&headers), expected, "{accept}");
        }
        assert!(!accepts_json(&HeaderMap::new()));
    }
}
