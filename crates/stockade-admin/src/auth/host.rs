//! The hosts under which browsers may open the administration.
//!
//! A site can let its own name resolve to the address of this server (DNS rebinding); its pages
//! are then of the same origin for browsers. Their requests have the name of that site as host.

use std::net::IpAddr;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, StatusCode, Uri, header::HOST, uri::Authority};

use crate::{
    error::{ApiError, ApiResult},
    state::AdminState,
};

/// Refuses requests to other hosts.
pub(super) async fn check(
    State(state): State<AdminState>,
    request: Request,
    next: Next,
) -> ApiResult<Response> {
    let host = of(request.uri(), request.headers());
    let allowed =
        host.is_some_and(|host| is_loopback(&host) || is_listed(&host, &state.0.config.hosts));
    if !allowed {
        return Err(ApiError::new(
            StatusCode::MISDIRECTED_REQUEST,
            "HOST_NOT_ALLOWED",
            "the host is not allowed; add it to admin.hosts",
        ));
    }
    Ok(next.run(request).await)
}

/// The host of a request with its port, if it has exactly one.
pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    if let Some(authority) = uri.authority() {
        return Some(authority.clone());
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next()?;
    let host = Authority::try_from(host.as_bytes()).ok()?;
    (hosts.next().is_none() && !host.as_str().contains('@')).then_some(host)
}

pub(super) fn is_loopback(host: &Authority) -> bool {
    let host = host.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse().ok();
    host.eq_ignore_ascii_case("localhost")
        || address.is_some_and(|ip: IpAddr| ip.to_canonical().is_loopback())
}

/// Whether the list has this host, with its port or without a port.
fn is_listed(host: &Authority, hosts: &[String]) -> bool {
    hosts.iter().any(|listed| {
        listed.eq_ignore_ascii_case(host.as_str()) || listed.eq_ignore_ascii_case(host.host())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(text: &str) -> Authority {
        text.parse().unwrap()
    }

    #[test]
    fn recognises_loopback() {
        for host in [
            "localhost:8001",
            "LOCALHOST",
            "127.0.0.1:1",
            "127.9.9.9",
            "[::1]:8001",
        ] {
            assert!(is_loopback(&authority(host)), "{host}");
        }
        for host in [
            "localhost.evil.test",
            "10.0.0.1",
            "127.0.0.1.evil.test",
            "[::2]",
        ] {
            assert!(!is_loopback(&authority(host)), "{host}");
        }
    }

    #[test]
    fn lists_hosts_with_or_without_port() {
        let hosts = ["admin.example.com".to_owned(), "other.test:8443".to_owned()];
        assert!(is_listed(&authority("Admin.Example.com:444"), &hosts));
        assert!(is_listed(&authority("other.test:8443"), &hosts));
        assert!(!is_listed(&authority("other.test"), &hosts));
        assert!(!is_listed(
            &authority("admin.example.com.evil.test"),
            &hosts
        ));
    }

    #[test]
    fn refuses_ambiguous_hosts() {
        let mut headers = HeaderMap::new();
        assert_eq!(of(&Uri::from_static("/"), &headers), None);
        headers.append(HOST, "localhost".parse().unwrap());
        assert_eq!(
            of(&Uri::from_static("/"), &headers),
            Some(authority("localhost"))
        );
        headers.append(HOST, "evil.test".parse().unwrap());
        assert_eq!(of(&Uri::from_static("/"), &headers), None);
    }
}
