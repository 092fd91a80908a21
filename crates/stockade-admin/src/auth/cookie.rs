//! The session cookie.

use axum::extract::FromRequestParts;
use http::{
    HeaderMap, HeaderValue,
    header::{COOKIE, ORIGIN},
    request::Parts,
    uri::Scheme,
};
use std::{convert::Infallible, time::Duration};
use zeroize::Zeroizing;

use super::host;

/// Browsers accept this name only over HTTPS, with `Secure`, `Path=/` and no `Domain`.
const SECURE: &str = "__Host-stockade_admin";
/// For HTTP on a loopback address, where browsers refuse `Secure`.
const LOOPBACK: &str = "stockade_admin";

/// The session cookie of a request, and the form of new ones.
#[derive(Clone)]
pub(crate) struct SessionCookie {
    value: Option<Zeroizing<String>>,
    secure: bool,
}

impl SessionCookie {
    pub(super) fn of(parts: &Parts) -> Self {
        let host = host::of(&parts.uri, &parts.headers);
        let loopback = host.is_some_and(|host| host::is_loopback(&host));
        let value = find(&parts.headers, SECURE);
        let value = value.or_else(|| find(&parts.headers, LOOPBACK).filter(|_| loopback));
        Self {
            value: value.map(|value| Zeroizing::new(value.to_owned())),
            secure: !loopback || is_https(parts),
        }
    }

    /// The secret of the session, which may have ended.
    pub(crate) fn value(&self) -> Option<&str> {
        self.value.as_deref().map(String::as_str)
    }

    /// Sets the cookie of a new session.
    pub(crate) fn set(&self, secret: &str, lifetime: Duration) -> HeaderValue {
        self.header(secret, lifetime.as_secs())
    }

    /// Removes the cookie.
    pub(crate) fn clear(&self) -> HeaderValue {
        self.header("", 0)
    }

    fn header(&self, value: &str, max_age: u64) -> HeaderValue {
        let name = if self.secure { SECURE } else { LOOPBACK };
        header(name, value, max_age, "Strict", self.secure)
    }

    /// Whether the cookie needs `Secure`.
    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Sets `Secure` also where the request does not show that it came over HTTPS: browsers send
    /// no `Origin` when they follow a link.
    pub(super) fn over_https(mut self, https: bool) -> Self {
        self.secure |= https;
        self
    }
}

/// Sets a cookie whose value is URL-safe base64.
pub(super) fn header(
    name: &str,
    value: &str,
    max_age: u64,
    same_site: &str,
    secure: bool,
) -> HeaderValue {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!(
        "{name}={value}; Path=/; Max-Age={max_age}; HttpOnly; SameSite={same_site}{secure}"
    );
    let mut header = HeaderValue::try_from(text).expect("secrets are base64");
    header.set_sensitive(true);
    header
}

/// Browsers name the scheme in `Origin`; HTTP/2 has it in the request.
fn is_https(parts: &Parts) -> bool {
    let origin = parts.headers.get(ORIGIN);
    let origin = origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    origin || parts.uri.scheme() == Some(&Scheme::HTTPS)
}

pub(super) fn find<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let headers = headers.get_all(COOKIE).iter();
    let cookies = headers.filter_map(|header| header.to_str().ok());
    let mut cookies = cookies.flat_map(|header| header.split(';'));
    cookies.find_map(|cookie| {
        let (found, value) = cookie.trim().split_once('=')?;
        (found == name).then_some(value)
    })
}

impl<S> FromRequestParts<S> for SessionCookie
where
    S: Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::of(parts))
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn cookie(host: &str, cookie: &str, origin: &str) -> SessionCookie {
        let request = Request::builder()
            .header("host", host)
            .header("cookie", cookie)
            .header("origin", origin);
        SessionCookie::of(&request.body(()).unwrap().into_parts().0)
    }

    fn set(cookie: &SessionCookie) -> String {
        let header = cookie.set("abc", Duration::from_secs(60));
        header.to_str().unwrap().to_owned()
    }

    /// M05.
    #[test]
    fn has_all_attributes() {
        let cookie = cookie("admin.example.com", "", "https://admin.example.com");
        assert_eq!(
            set(&cookie),
            "__Host-stockade_admin=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        // A reverse proxy ends TLS, and there is no exception for other hosts.
        let plain = super::tests::cookie("admin.example.com", "", "http://admin.example.com");
        assert!(set(&plain).ends_with("; Secure"));
    }

    /// M05.
    #[test]
    fn loopback_without_tls_is_the_exception() {
        let http = cookie("localhost:8001", "", "http://localhost:8001");
        assert_eq!(
            set(&http),
            "stockade_admin=abc; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        let https = cookie("localhost:8001", "", "https://localhost:8001");
        assert!(set(&https).starts_with("__Host-") && set(&https).ends_with("; Secure"));
    }

    #[test]
    fn finds_its_cookie() {
        let both = "a=b; stockade_admin=plain; __Host-stockade_admin=secure";
        assert_eq!(cookie("[::1]", both, "").value(), Some("secure"));
        let plain = "xstockade_admin=no; stockade_admin=plain";
        assert_eq!(cookie("127.0.0.1", plain, "").value(), Some("plain"));
        assert_eq!(cookie("admin.example.com", plain, "").value(), None);
    }
}
