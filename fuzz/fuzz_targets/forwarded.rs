//! Arbitrary forwarding headers: an untrusted peer is the client itself, and a trusted proxy
//! always resolves to an address.

#![no_main]

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use stockade_core::client::{ClientIp, ForwardingHeader, PeerAddr, TrustedProxies};

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n').take(16) {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append("x-forwarded-for", value.clone());
            headers.append("forwarded", value);
        }
    }
    let trusted = "10.0.0.0/8".parse().expect("a network");
    let (proxy, untrusted): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [192, 0, 2, 1].into());
    for header in [ForwardingHeader::XForwardedFor, ForwardingHeader::Forwarded] {
        let proxies = TrustedProxies::new(header, [trusted]);
        let client = proxies.resolve(PeerAddr::Ip(untrusted), &headers);
        assert_eq!(client, ClientIp::Ip(untrusted));
        let ClientIp::Ip(_) = proxies.resolve(PeerAddr::Ip(proxy), &headers) else {
            panic!("a TCP peer is not a Unix socket");
        };
    }
});
