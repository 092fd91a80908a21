//! The guards around a service with key authentication.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_abuse::{
    AbuseEvent, AbuseGuard, AbusePolicy, BanResponse, Detector, Offender, PrincipalGuard, Signal,
};
use stockade_core::{
    client::{ClientIp, ForwardingHeader, PeerAddr, TrustedProxies},
    clock::Timestamp,
    context::{ContextGuard, RequestContext},
    guard::{Check, Guard, Head},
    identity::Principal,
    refusal::{Refusal, RefusalKind, RefusalReason, Responder},
};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyRecord, MemoryKeyStore};
use stockade_testkit::{FakeClock, contract};
use tower::{Layer, ServiceExt, service_fn, util::BoxCloneService};

const CLIENT: &str = "203.0.113.7";
const OTHER: &str = "198.51.100.1";

type App = BoxCloneService<Request<()>, Response<()>, Infallible>;

struct Site {
    app: App,
    detector: Detector,
    clock: FakeClock,
    key: String,
    forwarded_for: Option<&'static str>,
}

/// A service with one key behind the abuse guards and key auth, in the order of a fence.
fn site(policy: AbusePolicy) -> Site {
    site_behind(policy, TrustedProxies::default())
}

fn site_behind(policy: AbusePolicy, proxies: TrustedProxies) -> Site {
    let clock = FakeClock::at(Timestamp::from_secs(1_000_000));
    let detector = Detector::builder(policy).clock(clock.clone()).build();
    let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    let store = MemoryKeyStore::new();
    store.insert(record).unwrap();
    let auth = Arc::new(KeyAuth::new(&store));
    let inner = auth.clone().into_layer().layer(
        PrincipalGuard::new(detector.clone())
            .into_layer()
            .layer(service_fn(handle)),
    );
    let guarded = AbuseGuard::new(detector.clone())
        .allow_valid_credentials(auth)
        .into_layer()
        .layer(inner);
    let app = ContextGuard::new()
        .trusted_proxies(proxies)
        .into_layer()
        .layer(guarded);
    Site {
        app: BoxCloneService::new(app.map_response(|response| response.map(drop))),
        detector,
        clock,
        key: key.expose().to_owned(),
        forwarded_for: None,
    }
}

async fn handle(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    let refusal = match request.uri().path() {
        "/ok" => return Ok(Response::new(Full::new(Bytes::from_static(b"ok")))),
        "/image" => Refusal::new(RefusalKind::Invalid, "no image")
            .with_code("INVALID_IMAGE")
            .with_reason(RefusalReason::InvalidImage),
        "/option" => Refusal::new(RefusalKind::Invalid, "not supported")
            .with_code("UNSUPPORTED_IMAGE")
            .with_reason(RefusalReason::UnsupportedContent),
        "/large" => Refusal::new(RefusalKind::TooLarge, "too large"),
        "/limit" => Refusal::new(RefusalKind::RateLimited, "too many"),
        "/scope" => Refusal::new(RefusalKind::Forbidden, "not yours"),
        "/broken" => Refusal::new(RefusalKind::Internal, "broken"),
        _ => Refusal::new(RefusalKind::NotFound, "nothing here"),
    };
    let (head, ()) = request.into_parts();
    let context = RequestContext::of(&head.extensions).unwrap();
    context.refuse("handler", &refusal);
    Ok(Responder::default().respond(&refusal, &head).map(Full::new))
}

impl Site {
    async fn ask(&self, from: &str, path: &str, key: Option<&str>) -> Response<()> {
        let mut request = Request::get(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if let Some(address) = self.forwarded_for {
            request = request.header("x-forwarded-for", address);
        }
        let peer: IpAddr = from.parse().unwrap();
        let request = request.extension(PeerAddr::Ip(peer)).body(()).unwrap();
        self.app.clone().oneshot(request).await.unwrap()
    }

    async fn status(&self, from: &str, path: &str, key: Option<&str>) -> u16 {
        self.ask(from, path, key).await.status().as_u16()
    }

    /// Sends this many different invalid keys.
    async fn record(&self, from: &str, times: usize) {
        for number in 0..times {
            let key = format!("wrong-{number}");
            self.status(from, "/ok", Some(&key)).await;
        }
    }
}

fn client(text: &str) -> Offender {
    text.parse().unwrap()
}

#[tokio::test]
async fn upholds_the_contract() {
    let detector = Detector::new(AbusePolicy::new());
    let request = || {
        let mut request = Request::new(());
        let peer = PeerAddr::Ip(CLIENT.parse().unwrap());
        request.extensions_mut().insert(peer);
        request
    };
    contract::uphold(&AbuseGuard::new(detector.clone()).into_layer(), request).await;
    contract::uphold(&PrincipalGuard::new(detector).into_layer(), request).await;
}

#[tokio::test]
async fn bans_after_five_invalid_keys_until_the_ban_ends() {
    let site = site(AbusePolicy::new());
    site.record(CLIENT, 4).await;
    assert_eq!(site.status(CLIENT, "/ok", None).await, 401);
    assert_eq!(site.status(CLIENT, "/ok", Some("another")).await, 401);
    let response = site.ask(CLIENT, "/ok", None).await;
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    // FC04: the refusal contains the end of the ban.
    let retry_after = response.headers()["retry-after"].to_str().unwrap();
    let retry_after: u64 = retry_after.parse().unwrap();
    assert!((540..=660).contains(&retry_after), "{retry_after}");
    assert_eq!(site.status(OTHER, "/ok", Some(&site.key)).await, 200);

    let stats = site.detector.stats();
    assert_eq!((stats.denied_count, stats.banned_entities), (1, 1));
    let ban = site.detector.find_ban(&client(CLIENT)).unwrap();
    assert_eq!(&*ban.reason, "5 errors in 30s");

    site.clock.advance(Duration::from_secs(11 * 60));
    assert_eq!(site.status(CLIENT, "/ok", None).await, 401);
    assert!(site.detector.bans().is_empty());
}

#[tokio::test]
async fn answers_with_429_and_when_to_come_back_where_that_is_wanted() {
    let site = site(AbusePolicy::new().response(BanResponse::TooManyRequests));
    let length = Some(Duration::from_secs(90));
    site.detector.ban(client(CLIENT), length, "by hand");
    let response = site.ask(CLIENT, "/ok", None).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "90");
}

#[tokio::test]
async fn counts_a_repeated_invalid_key_once() {
    let site = site(AbusePolicy::new());
    for _ in 0..100 {
        assert_eq!(site.status(CLIENT, "/ok", Some("stale")).await, 401);
        assert_eq!(site.status(CLIENT, "/ok", None).await, 401);
    }
}

// D01
#[tokio::test]
async fn forged_header_bans_its_sender_only() {
    let mut site = site(AbusePolicy::new());
    site.forwarded_for = Some(OTHER);
    site.record(CLIENT, 5).await;
    assert!(site.detector.find_ban(&client(CLIENT)).is_some());
    assert!(site.detector.find_ban(&client(OTHER)).is_none());
}

// D02
#[tokio::test]
async fn valid_keys_pass_despite_a_banned_address() {
    let site = site(AbusePolicy::new());
    site.record(CLIENT, 5).await;
    assert_eq!(site.status(CLIENT, "/ok", None).await, 403);
    assert_eq!(site.status(CLIENT, "/ok", Some("guess")).await, 403);
    for _ in 0..50 {
        assert_eq!(site.status(CLIENT, "/ok", Some(&site.key)).await, 200);
    }
}

// D03
#[tokio::test]
async fn unverified_ids_do_not_ban_a_key() {
    let site = site(AbusePolicy::new());
    let (id, _) = site.key.rsplit_once('_').unwrap();
    for number in 0..50 {
        let from = format!("192.0.2.{number}");
        let forged = format!("{id}_forgery{number}");
        assert_eq!(site.status(&from, "/ok", Some(&forged)).await, 401);
    }
    assert_eq!(site.status(OTHER, "/ok", Some(&site.key)).await, 200);
    assert!(site.detector.bans().is_empty());
}

fn ten() -> TrustedProxies {
    TrustedProxies::new(
        ForwardingHeader::XForwardedFor,
        ["10.0.0.0/8".parse().unwrap()],
    )
}

// D04
#[tokio::test]
async fn never_bans_proxies_exempt_networks_or_loopback() {
    let own = ["10.0.0.0/8", "2001:db8::1/128"].map(|text| text.parse().unwrap());
    let policy = AbusePolicy::new()
        .exempt(own)
        .exempt_keys(["team"])
        .ban_principals(true)
        .weight(Signal::NotFound, 1);
    let site = site_behind(policy, ten());
    for from in [
        "10.1.2.3",
        "127.0.0.1",
        "::1",
        "::ffff:127.0.0.9",
        "2001:db8::1",
    ] {
        site.record(from, 20).await;
    }
    for _ in 0..20 {
        let status = site.status(OTHER, "/nothing", Some(&site.key)).await;
        assert_eq!(status, 404);
    }
    assert_eq!(site.detector.bans(), []);
}

#[tokio::test]
async fn bans_a_client_behind_a_trusted_proxy_but_not_its_neighbours() {
    let policy = AbusePolicy::new().exempt(["10.0.0.0/8".parse().unwrap()]);
    let mut site = site_behind(policy, ten());
    site.forwarded_for = Some(CLIENT);
    site.record("10.1.2.3", 5).await;
    assert_eq!(site.status("10.1.2.3", "/ok", None).await, 403);
    site.forwarded_for = Some(OTHER);
    assert_eq!(site.status("10.1.2.3", "/ok", None).await, 401);
}

// R03
#[tokio::test]
async fn addresses_of_one_ipv6_prefix_are_one_client() {
    let site = site(AbusePolicy::new());
    for number in 0..5 {
        let (from, key) = (format!("2001:db8:1:2::{number}"), format!("wrong-{number}"));
        site.status(&from, "/ok", Some(&key)).await;
    }
    assert_eq!(site.status("2001:db8:1:2:ffff::1", "/ok", None).await, 403);
    assert_eq!(site.status("2001:db8:1:3::1", "/ok", None).await, 401);
}

#[tokio::test]
async fn bans_an_authenticated_offender_but_not_its_address() {
    let policy = AbusePolicy::new()
        .ban_principals(true)
        .weight(Signal::InvalidImage, 1);
    let site = site(policy);
    for _ in 0..5 {
        assert_eq!(site.status(CLIENT, "/image", Some(&site.key)).await, 400);
    }
    assert_eq!(site.status(OTHER, "/ok", Some(&site.key)).await, 403);
    assert_eq!(site.status(CLIENT, "/ok", None).await, 401);
    assert!(site.detector.unban(&client("key:team")));
    assert_eq!(site.status(OTHER, "/ok", Some(&site.key)).await, 200);
}

#[tokio::test]
async fn server_errors_are_not_offences() {
    let site = site(AbusePolicy::new());
    for _ in 0..20 {
        assert_eq!(site.status(CLIENT, "/broken", Some(&site.key)).await, 500);
        assert_eq!(site.status(CLIENT, "/ok", Some(&site.key)).await, 200);
    }
    let stats = site.detector.stats();
    assert_eq!((stats.tracked_entities, stats.banned_entities), (0, 0));
}

#[tokio::test]
async fn bans_scanners() {
    let site = site(AbusePolicy::new());
    for path in ["/.env", "/wp-login.php", "/.git/config", "/.aws/a", "/.env"] {
        assert_eq!(site.status(CLIENT, path, None).await, 401);
    }
    assert_eq!(site.status(CLIENT, "/ok", None).await, 403);
}

// FC03
#[tokio::test]
async fn missing_credentials_do_not_count_by_default() {
    let site = site(AbusePolicy::new());
    for _ in 0..20 {
        let browser = site.status(CLIENT, "/favicon.ico", None).await;
        assert_eq!(browser, 401);
    }
    assert_eq!(site.status(CLIENT, "/ok", Some(&site.key)).await, 200);
    let stats = site.detector.stats();
    assert_eq!((stats.tracked_entities, stats.banned_entities), (0, 0));
}

// FC03: with a weight, repetitions count once.
#[tokio::test]
async fn missing_credentials_count_with_a_weight() {
    let weights = AbusePolicy::new()
        .weight(Signal::MissingCredential, 1)
        .weight(Signal::BadCredential, 1);
    let site = site(weights);
    for _ in 0..20 {
        assert_eq!(site.status(CLIENT, "/ok", None).await, 401);
    }
    site.record(CLIENT, 4).await;
    assert_eq!(site.status(CLIENT, "/ok", None).await, 403);
}

// FC04
#[tokio::test]
async fn client_mistakes_ban_neither_a_key_nor_an_address() {
    let site = site(AbusePolicy::new());
    for key in [Some(site.key.as_str()), None] {
        for (path, status) in [
            ("/image", 400),
            ("/option", 400),
            ("/large", 413),
            ("/limit", 429),
            ("/scope", 403),
            ("/nothing", 404),
        ] {
            for _ in 0..20 {
                let expected = if key.is_some() { status } else { 401 };
                assert_eq!(site.status(CLIENT, path, key).await, expected, "{path}");
            }
        }
    }
    assert_eq!(site.detector.bans(), []);
}

// FC04: principals are banned only if enabled.
#[tokio::test]
async fn offences_of_a_principal_do_not_count_by_default() {
    let site = site(AbusePolicy::new().weight(Signal::InvalidImage, 1));
    for path in ["/image", "/.env"] {
        for _ in 0..20 {
            site.status(CLIENT, path, Some(&site.key)).await;
        }
    }
    assert_eq!(site.detector.stats().tracked_entities, 0);
    // A manual ban applies in any case.
    site.detector.ban(client("key:team"), None, "by hand");
    assert_eq!(site.status(OTHER, "/ok", Some(&site.key)).await, 403);
}

// FC03: a malformed credential guesses nothing, so repetitions count once.
#[tokio::test]
async fn counts_a_repeated_malformed_credential_once() {
    let site = site(AbusePolicy::new());
    for _ in 0..20 {
        assert_eq!(site.status(CLIENT, "/ok", Some("")).await, 401);
    }
    assert_eq!(site.detector.bans(), []);
}

#[test]
fn report_only_reports_bans_without_enforcing_them() {
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let detector = Detector::builder(AbusePolicy::new().report_only(true))
        .on_event(move |event| heard.lock().unwrap().push(event.clone()))
        .build();
    let address = ClientIp::Ip(CLIENT.parse().unwrap());
    for fingerprint in 0..5 {
        detector.report(
            address,
            None,
            Signal::BadCredential,
            Some(fingerprint << 40),
        );
    }
    assert!(detector.bans().is_empty());
    let events = events.lock().unwrap();
    assert!(matches!(&events[..], [AbuseEvent::WouldBan(ban)] if ban.offender == client(CLIENT)));
}

// D10
#[tokio::test]
async fn unban_applies_immediately_and_clears_offences() {
    let site = site(AbusePolicy::new());
    site.record(CLIENT, 5).await;
    assert_eq!(site.status(CLIENT, "/ok", None).await, 403);
    assert!(site.detector.unban(&client(CLIENT)));
    assert!(!site.detector.unban(&client(CLIENT)));
    site.record(CLIENT, 4).await;
    assert_eq!(site.status(CLIENT, "/ok", None).await, 401);
}

#[tokio::test]
async fn each_ban_lasts_twice_as_long() {
    let site = site(AbusePolicy::new());
    let mut lengths = Vec::new();
    for _ in 0..3 {
        site.record(CLIENT, 5).await;
        let ban = site.detector.find_ban(&client(CLIENT)).unwrap();
        lengths.push((ban.until.unwrap() - ban.since).as_secs());
        site.clock.set(ban.until.unwrap());
    }
    for (length, usual) in lengths.iter().zip([600, 1_200, 2_400]) {
        let enclosing_network = usual * 9 / 10..=usual * 11 / 10;
        assert!(enclosing_network.contains(length), "{lengths:?}");
    }
}

// D05
#[test]
fn flood_of_offenders_stays_within_the_limits() {
    let policy = AbusePolicy::new().threshold(1, Duration::from_secs(30));
    let detector = Detector::builder(policy)
        .clock(FakeClock::at(Timestamp::from_secs(1_000)))
        .max_tracked(10_000)
        .max_bans(10_000)
        .build();
    for number in 0..300_000 {
        let client = ClientIp::Ip(Ipv4Addr::from(0x0b00_0000 + number).into());
        detector.report(client, None, Signal::BadCredential, None);
    }
    let stats = detector.stats();
    assert!(stats.tracked_entities <= 10_000, "{stats:?}");
    assert!(stats.banned_entities <= 10_000, "{stats:?}");
    assert_eq!(detector.bans().len(), stats.banned_entities);
}

// D05
#[test]
fn aggregates_many_banned_neighbours_if_enabled() {
    let policy = AbusePolicy::new()
        .threshold(1, Duration::from_secs(30))
        .aggregate(Some(16));
    let detector = Detector::new(policy);
    for number in 0..16 {
        let client = ClientIp::Ip([203, 0, 113, number].into());
        detector.report(client, None, Signal::BadCredential, None);
    }
    let bans = detector.bans();
    assert_eq!(bans.len(), 1);
    assert_eq!(bans[0].offender, client("203.0.113.0/24"));
    assert!(detector.find_ban(&client("203.0.113.200")).is_some());
}

// R05
#[test]
fn missing_client_address_is_a_configuration_error() {
    let guard = AbuseGuard::new(Detector::new(AbusePolicy::new()));
    let mut request = Request::new(());
    let head = Head::new(request.clone().into_parts().0);
    let Check::Refuse(refusal) = guard.check(&head) else {
        panic!("a request without a client address was accepted");
    };
    assert_eq!(refusal.kind(), RefusalKind::Internal);
    request.extensions_mut().insert(PeerAddr::UnixSocket);
    let head = Head::new(request.into_parts().0);
    assert!(matches!(guard.check(&head), Check::Pass(_)));
}

#[test]
fn checks_bans_again_while_a_response_is_on_its_way() {
    let address = ClientIp::Ip(CLIENT.parse().unwrap());
    let principal = Principal::builder("team").build();
    for report_only in [false, true] {
        let detector = Detector::new(AbusePolicy::new().report_only(report_only));
        assert!(detector.recheck_client(address).is_none());
        assert!(detector.recheck_principal(&principal).is_none());
        detector.ban(client(CLIENT), None, "by hand");
        detector.ban(Offender::principal("team").unwrap(), None, "by hand");
        let refusals = [
            detector.recheck_client(address),
            detector.recheck_principal(&principal),
        ];
        for refusal in refusals {
            let code = refusal.as_ref().map(Refusal::code);
            assert_eq!(code, (!report_only).then_some("BANNED"));
        }
        assert_eq!(detector.stats().denied_count, 0);
    }
}
