//! FC09: a proxy that names no client is reported to the operator.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use http::HeaderMap;
use stockade_core::client::{ClientIp, ForwardingHeader, PeerAddr, TrustedProxies};
use support::Log;

#[test]
fn a_proxy_that_names_no_client_is_logged_once() {
    let log = Log::default();
    let subscriber = log.subscriber();
    let network = "10.0.0.0/8".parse().unwrap();
    let proxies = TrustedProxies::new(ForwardingHeader::XForwardedFor, [network]);
    let resolve = |text: Option<&str>| {
        let mut headers = HeaderMap::new();
        if let Some(text) = text {
            headers.insert("x-forwarded-for", text.parse().unwrap());
        }
        proxies.resolve(PeerAddr::Ip([10, 0, 0, 1].into()), &headers)
    };
    let written = || log.text();
    tracing::subscriber::with_default(subscriber, || {
        // Of the proxy's own, such as a health check: nothing is wrong with them.
        resolve(None);
        resolve(Some("junk, 203.0.113.7"));
        assert_eq!(written(), "");
        for text in ["203.0.113.7, unknown", "0.0.0.0", "::"] {
            assert_eq!(resolve(Some(text)), ClientIp::Ip([10, 0, 0, 1].into()));
        }
    });
    let written = written();
    assert_eq!(written.lines().count(), 1, "{written}");
    assert!(
        written.contains("WARN") && written.contains("10.0.0.1"),
        "{written}"
    );
}
