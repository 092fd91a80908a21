//! The small pages of a login: the browser is between two sites.

use axum::response::{Html, IntoResponse as _, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS},
};

/// The page after a login. It leads on by itself: a redirect would still be part of the
/// navigation from the provider's site, for which browsers do not send the session cookie.
pub(super) fn success() -> Response {
    let refresh = r#"<meta http-equiv="refresh" content="0; url=/admin/">"#;
    page(StatusCode::OK, refresh, "You are logged in.", "Continue")
}

/// The page of a failed login.
pub(super) fn failure(status: StatusCode, message: &'static str) -> Response {
    page(status, "", message, "Back to the login")
}

/// All texts are constants.
fn page(status: StatusCode, head: &str, message: &'static str, link: &'static str) -> Response {
    let styles = ["theme", "shell", "controls", "content"]
        .map(|name| format!("<link rel=\"stylesheet\" href=\"/admin/{name}.css\">"))
        .concat();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">{head}{styles}\
         <title>Stockade</title></head><body><main class=\"door\"><div class=\"door-brand\">\
         <img src=\"/admin/icon.svg\" alt=\"\" width=\"48\" height=\"48\"><h1>Stockade</h1></div>\
         <div class=\"card padded\"><p role=\"status\">{message}</p>\
         <a class=\"button wide\" href=\"/admin/\">{link}</a></div></main></body></html>\n"
    );
    let mut response = (status, Html(html)).into_response();
    secure(&mut response);
    response
}

/// The address of the callback contains a code: it is neither stored nor sent as a referrer.
pub(super) fn secure(response: &mut Response) {
    let headers = response.headers_mut();
    let policy = "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; \
                  form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, policy),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}
