//! Requests for what is not here.

use axum::{extract::Request, response::Response};
use http::StatusCode;
use stockade_core::{Refusal, RefusalKind};

use super::refusals;

/// No route has this path.
pub(super) async fn no_route(request: Request) -> Response {
    let (head, _) = request.into_parts();
    let refusal = Refusal::new(RefusalKind::NotFound, "there is nothing at this path");
    refusals::respond(&refusal, &head)
}

/// The route takes other methods; the router adds which.
pub(super) async fn no_method(request: Request) -> Response {
    let (head, _) = request.into_parts();
    let text = "this path does not take this method";
    let refusal = Refusal::new(RefusalKind::NotFound, text).with_code("METHOD_NOT_ALLOWED");
    let mut response = refusals::respond(&refusal, &head);
    if response.status() == StatusCode::NOT_FOUND {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    }
    response
}
