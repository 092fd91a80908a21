//! Any forwarding headers: a peer that is not trusted is the client, and a proxy's client
//! is an address that stands in the header, or the proxy.

#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use stockade_core::{ClientIp, ForwardingHeader, PeerAddr, TrustedProxies};

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(16) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value.clone());
            headers.append("forwarded", value);
        }
    }
    let trusted = "10.0.0.0/8".parse().expect("a network");
    let (proxy, stranger): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [192, 0, 2, 1].into());
    for header in [ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] {
        let proxies = TrustedProxies::new(header, [trusted]);
        let client = proxies.resolve(PeerAddr::Ip(stranger), &headers);
        assert_eq!(client, ClientIp::Ip(stranger));
        // Any answer will do, but there is one.
        let ClientIp::Ip(_) = proxies.resolve(PeerAddr::Ip(proxy), &headers) else {
            panic!("a TCP peer is no Unix socket");
        };
    }
});
