use http::HeaderValue;
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

fn ip(text: &str) -> ClientIp {
    ClientIp::Ip(text.parse().unwrap())
}

fn peer(text: &str) -> PeerAddr {
    PeerAddr::Ip(text.parse().unwrap())
}

fn headers(name: &'static str, lines: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_str(line).unwrap());
    }
    headers
}

fn behind(header: ForwardingHeader) -> TrustedProxies {
    TrustedProxies::new(
        header,
        ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
    )
}

// R01
#[test]
fn an_untrusted_peer_is_the_client_whatever_it_sends() {
    let names = [
        "x-forwarded-for",
        "forwarded",
        "x-real-ip",
        "true-client-ip",
    ];
    for proxies in [
        TrustedProxies::default(),
        behind(ForwardingHeader::XForwardedFor),
        behind(ForwardingHeader::Forwarded),
        behind(ForwardingHeader::Single(HeaderName::from_static(
            "x-real-ip",
        ))),
    ] {
        for n in 0..1_000u32 {
            let claimed = Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761));
            let mut all = HeaderMap::new();
            for name in names {
                all.append(
                    name,
                    HeaderValue::from_str(&format!("for={claimed}")).unwrap(),
                );
                all.append(name, HeaderValue::from_str(&claimed.to_string()).unwrap());
            }
            assert_eq!(proxies.resolve(peer("192.0.2.1"), &all), ip("192.0.2.1"));
        }
    }
}

// R02
#[test]
fn walks_x_forwarded_for_from_the_right() {
    let proxies = behind(ForwardingHeader::XForwardedFor);
    for (lines, client) in [
        (&["203.0.113.7"][..], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
        (&["6.6.6.6", "203.0.113.7", "10.9.9.9"], "203.0.113.7"),
        (&["203.0.113.7:4711"], "203.0.113.7"),
        (&["[2001:db8::7]:4711"], "2001:db8::7"),
        (&["2001:db8::7"], "2001:db8::7"),
        (&["::ffff:203.0.113.7"], "203.0.113.7"),
        (&["203.0.113.7, ::ffff:10.0.0.9"], "203.0.113.7"),
        // All of them are proxies: the furthest one is the client.
        (&["10.5.5.5, 10.9.9.9"], "10.5.5.5"),
        // Nothing usable: the last one who can be believed.
        (&[""], "10.0.0.1"),
        (&["unknown"], "10.0.0.1"),
        (&["203.0.113.7, "], "10.0.0.1"),
        (&["203.0.113.7, evil, 10.9.9.9"], "10.9.9.9"),
        (&["203.0.113.7,,10.9.9.9"], "10.9.9.9"),
        (&["203.0.113.7 6.6.6.6"], "10.0.0.1"),
        (&["0x7f.1"], "10.0.0.1"),
        (&["2130706433"], "10.0.0.1"),
    ] {
        let headers = headers("x-forwarded-for", lines);
        assert_eq!(
            proxies.resolve(peer("10.0.0.1"), &headers),
            ip(client),
            "{lines:?}"
        );
    }
}

// R02
#[test]
fn walks_forwarded_from_the_right() {
    let proxies = behind(ForwardingHeader::Forwarded);
    for (lines, client) in [
        (&["for=203.0.113.7"][..], "203.0.113.7"),
        (&["For=203.0.113.7;proto=https;by=10.0.0.1"], "203.0.113.7"),
        (&["proto=https; for=\"203.0.113.7:80\""], "203.0.113.7"),
        (&["for=\"[2001:db8::7]:4711\""], "2001:db8::7"),
        (&["for=\"[2001:db8::7]\""], "2001:db8::7"),
        (
            &["for=6.6.6.6, for=203.0.113.7, for=10.9.9.9"],
            "203.0.113.7",
        ),
        (&["for=6.6.6.6", "for=203.0.113.7"], "203.0.113.7"),
        (
            &["for=6.6.6.6;host=\"a,b;for=1.1.1.1\", for=10.9.9.9"],
            "6.6.6.6",
        ),
        (&["for=_hidden"], "10.0.0.1"),
        (&["for=unknown"], "10.0.0.1"),
        (&["for=203.0.113.7, proto=http"], "10.0.0.1"),
        // FC08: a quote that a client never closes swallows nothing.
        (&["for=\"x, for=203.0.113.7"], "203.0.113.7"),
        (&["for=6.6.6.6;x=\"y, for=203.0.113.7"], "203.0.113.7"),
        (&["for=\"x", "for=203.0.113.7"], "203.0.113.7"),
        (&["for=\"x\\, for=203.0.113.7, for=10.9.9.9"], "203.0.113.7"),
        (
            &["for=\"x, for=\"[2001:db8::7]:4711\";host=\"a\\\",b\", for=10.9.9.9"],
            "2001:db8::7",
        ),
        // A proxy's own element that is not well formed names no client.
        (&["for=6.6.6.6, for=\"203.0.113.7"], "10.0.0.1"),
        (&["for=6.6.6.6, for=203.0.113.7\""], "10.0.0.1"),
        (&["for=6.6.6.6;for=203.0.113.7"], "10.0.0.1"),
        (&[""], "10.0.0.1"),
    ] {
        let headers = headers("forwarded", lines);
        assert_eq!(
            proxies.resolve(peer("10.0.0.1"), &headers),
            ip(client),
            "{lines:?}"
        );
    }
}

// R02
#[test]
fn of_a_single_value_header_the_last_value_counts() {
    let name = HeaderName::from_static("x-real-ip");
    let proxies = behind(ForwardingHeader::Single(name));
    for (lines, client) in [
        (&["203.0.113.7"][..], "203.0.113.7"),
        // FC08: a client that sends the header as well does not become the proxy.
        (&["6.6.6.6", "203.0.113.7"], "203.0.113.7"),
        (&["6.6.6.6, 203.0.113.7"], "203.0.113.7"),
        (&["\"", "203.0.113.7"], "203.0.113.7"),
        (&["203.0.113.7, "], "10.0.0.1"),
        (&[], "10.0.0.1"),
    ] {
        let headers = headers("x-real-ip", lines);
        assert_eq!(
            proxies.resolve(peer("10.0.0.1"), &headers),
            ip(client),
            "{lines:?}"
        );
    }
}

// FC09
#[test]
fn what_no_host_can_have_is_no_client() {
    for address in [
        "0.0.0.0",
        "0.1.2.3",
        "::",
        "::ffff:0.0.0.0",
        "64:ff9b::",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
    ] {
        let quoted = format!("for=\"[{address}]\"");
        let plain = format!("for={address}");
        let single = HeaderName::from_static("x-real-ip");
        for (header, name, value) in [
            (ForwardingHeader::XForwardedFor, "x-forwarded-for", address),
            (ForwardingHeader::Single(single), "x-real-ip", address),
            (ForwardingHeader::Forwarded, "forwarded", &*plain),
            (ForwardingHeader::Forwarded, "forwarded", &*quoted),
        ] {
            let headers = headers(name, &[value]);
            let client = behind(header).resolve(peer("10.0.0.1"), &headers);
            assert_eq!(client, ip("10.0.0.1"), "{name}: {value}");
        }
    }
    let hops = TrustedProxies::dangerous_hops(ForwardingHeader::XForwardedFor, 2);
    let headers = headers("x-forwarded-for", &["6.6.6.6, 0.0.0.0"]);
    assert_eq!(hops.resolve(peer("10.0.0.1"), &headers), ip("10.0.0.1"));
}

#[test]
fn only_the_configured_header_counts() {
    let proxies = behind(ForwardingHeader::Forwarded);
    let headers = headers("x-forwarded-for", &["6.6.6.6"]);
    assert_eq!(proxies.resolve(peer("10.0.0.1"), &headers), ip("10.0.0.1"));
}

// R03
#[test]
fn many_addresses_of_one_client_are_one_bucket() {
    let bucket = |text: &str| ip_of(text).bucket(64);
    for n in 0..10_000u32 {
        assert_eq!(
            bucket(&format!("2001:db8:1:2::{n:x}")),
            bucket("2001:db8:1:2::")
        );
    }
    assert_ne!(bucket("2001:db8:1:3::1"), bucket("2001:db8:1:2::1"));
    assert_eq!(bucket("::ffff:1.2.3.4"), bucket("1.2.3.4"));
    // NAT64: one IPv4 client each, not all of them together.
    assert_eq!(bucket("64:ff9b::1.2.3.4"), bucket("1.2.3.4"));
    assert_ne!(bucket("64:ff9b::1.2.3.4"), bucket("64:ff9b::1.2.3.5"));
}

// R03
#[test]
fn a_zone_id_does_not_make_a_new_client() {
    let proxies = behind(ForwardingHeader::XForwardedFor);
    for zone in ["eth0", "1", "x"] {
        let headers = headers("x-forwarded-for", &[&format!("fe80::7%{zone}")]);
        assert_eq!(proxies.resolve(peer("fd00::1"), &headers), ip("fe80::7"));
    }
}

// R05
#[test]
fn a_unix_socket_has_a_bucket_of_its_own() {
    let proxies = behind(ForwardingHeader::XForwardedFor);
    let headers = headers("x-forwarded-for", &["203.0.113.7"]);
    let client = proxies.resolve(PeerAddr::UnixSocket, &headers);
    assert_eq!(client.bucket(64), ClientBucket::UnixSocket);

    let client = proxies
        .unix_sockets()
        .resolve(PeerAddr::UnixSocket, &headers);
    assert_eq!(client, ip("203.0.113.7"));
}

fn ip_of(text: &str) -> ClientIp {
    TrustedProxies::default().resolve(peer(text), &HeaderMap::new())
}

// R02
#[test]
fn counted_hops_are_walked_whatever_their_addresses_are() {
    let mut headers = HeaderMap::new();
    let chain = "6.6.6.6, 203.0.113.7, 192.0.2.1".parse().unwrap();
    headers.insert("x-forwarded-for", chain);
    let peer = PeerAddr::Ip("198.51.100.9".parse().unwrap());
    for (hops, client) in [
        (0, "198.51.100.9"),
        (1, "192.0.2.1"),
        (2, "203.0.113.7"),
        (3, "6.6.6.6"),
        (9, "6.6.6.6"),
    ] {
        let proxies = TrustedProxies::dangerous_hops(ForwardingHeader::XForwardedFor, hops);
        let resolved = proxies.resolve(peer, &headers);
        assert_eq!(resolved, ClientIp::Ip(client.parse().unwrap()), "{hops}");
    }
}

/// What a client may have written: any bytes that a header value can hold, and more often
/// those that mean something.
fn junk() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        select(vec![
            "\"",
            "\\",
            ",",
            ";",
            "=",
            "for=",
            "for=\"",
            "[",
            "]",
            ":",
            " ",
            "6.6.6.6",
            "10.9.9.9",
            "unknown",
            "0.0.0.0",
            "for=\"[2001:db8::6]\"",
            "host=\"a, b\"",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,8}",
        Just("\t\u{e9}".to_owned()),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn appended(header: &ForwardingHeader) -> Vec<&'static str> {
    match header {
        ForwardingHeader::Forwarded => vec![
            "for=203.0.113.7",
            "for=\"203.0.113.7:80\"",
            "For=\"203.0.113.7\";proto=https;host=\"a\\\",\\\\\"",
            "by=10.0.0.1;host=\"x, for=6.6.6.6;\";for=203.0.113.7",
        ],
        _ => vec!["203.0.113.7", "203.0.113.7:4711", " ::ffff:203.0.113.7 "],
    }
}

proptest! {
    // FC08: all that a client can write stands to the left of what a trusted proxy adds.
    #[test]
    fn entries_left_of_the_client_are_ignored(
        lines in vec(junk(), 0..3),
        left in junk(),
        kind in 0usize..3,
        entry in any::<prop::sample::Index>(),
        hops in vec(select(vec!["10.9.9.9", "10.0.0.7"]), 0..3),
    ) {
        let (header, name) = [
            (ForwardingHeader::XForwardedFor, "x-forwarded-for"),
            (ForwardingHeader::Forwarded, "forwarded"),
            (ForwardingHeader::Single(HeaderName::from_static("x-real-ip")), "x-real-ip"),
        ][kind].clone();
        let mut last = format!("{left},{}", entry.get(&appended(&header)));
        // A header of a single value is not passed on from proxy to proxy.
        for hop in hops.iter().filter(|_| kind < 2) {
            let prefix = if kind == 1 { "for=" } else { "" };
            last.push_str(&format!(", {prefix}{hop}"));
        }
        let mut all = HeaderMap::new();
        for line in lines.iter().chain([&last]) {
            let line = HeaderValue::from_bytes(line.as_bytes()).unwrap();
            all.append(name, line);
        }
        prop_assert_eq!(behind(header).resolve(peer("10.0.0.1"), &all), ip("203.0.113.7"));
    }
}
