//! Tests of the rate limit guard as seen by clients.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    borrow::Cow,
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Version, request};
use http_body_util::{BodyExt, Full};
use sfv::{BareItem, List, ListEntry, Parser};
use stockade_core::{
    client::{ClientIp, ForwardingHeader, PeerAddr, TrustedProxies},
    clock::Timestamp,
    context::{ContextGuard, MatchedRoute, RequestContext, RequestContextBuilder},
    guard::{Guard, GuardLayer, TakeReady},
    identity::{Principal, QuotaOverrides},
    llm::ModelRequest,
};
use stockade_rate_limit::{
    Bucket, KeyExtractor, Limit, LimitStore, Limits, LimitsErrorKind, MemoryLimitStore, NoWait,
    Quota, RateLimit, SharedLimits, StoreReply,
};
use stockade_testkit::{FakeClock, contract};
use tower::{Layer, ServiceBuilder, ServiceExt, util::BoxCloneService};

fn clock() -> FakeClock {
    FakeClock::at(Timestamp::from_secs(1_700_000_000))
}

fn limits(limits: impl IntoIterator<Item = Limit>) -> Limits {
    Limits::new(limits).unwrap()
}

fn guard(all: impl IntoIterator<Item = Limit>, clock: &FakeClock) -> RateLimit {
    RateLimit::with_store(
        limits(all),
        MemoryLimitStore::with_clock(1_000, clock.clone()),
    )
}

struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

type Inner = BoxCloneService<Request<Full<Bytes>>, Response<Full<Bytes>>, Infallible>;

async fn send<G>(layer: &GuardLayer<G>, request: request::Builder) -> Seen
where
    G: Guard<Wait: TakeReady<Inner>>,
{
    let request = request.body(Full::default()).unwrap();
    let service = layer.layer(Inner::new(tower::service_fn(
        |_: Request<Full<Bytes>>| async { Ok(Response::new(Full::<Bytes>::default())) },
    )));
    let response = service.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Seen {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn peer(address: impl Into<IpAddr>) -> PeerAddr {
    PeerAddr::from(SocketAddr::from((address.into(), 4711)))
}

fn from(address: impl Into<IpAddr>) -> request::Builder {
    Request::builder().extension(peer(address))
}

/// A client whose request an authenticator has seen.
fn client() -> RequestContextBuilder {
    RequestContext::builder().client(ClientIp::Ip([192, 0, 2, 9].into()))
}

fn as_principal(principal: &Principal) -> request::Builder {
    let context = client().principal(principal.clone());
    Request::builder().extension(context.build())
}

fn anonymous() -> request::Builder {
    Request::builder().extension(client().anonymous().build())
}

impl Seen {
    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    /// The members of a structured field: their names and parameters.
    fn members(&self, field: &str) -> Vec<(String, Vec<(String, i64)>)> {
        let lines = self.headers.get_all(field).iter();
        let text: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        let list: List = Parser::new(&text.join(",")).parse().unwrap();
        let member = |entry| {
            let ListEntry::Item(item) = entry else {
                panic!("an inner list");
            };
            let BareItem::String(name) = item.bare_item else {
                panic!("no string");
            };
            let params = item.params.into_iter().map(|(key, value)| {
                let number = value.as_integer().expect("a number");
                (key.to_string(), number.into())
            });
            (name.to_string(), params.collect())
        };
        list.into_iter().map(member).collect()
    }
}

fn member(name: &str, params: &[(&str, i64)]) -> (String, Vec<(String, i64)>) {
    let params = params
        .iter()
        .map(|(key, value)| ((*key).to_owned(), *value));
    (name.to_owned(), params.collect())
}

// R12
#[tokio::test]
async fn sends_limits_on_success_and_refusal() {
    let clock = clock();
    let ip = Limit::new("ip", KeyExtractor::client_ip())
        .quota_named("burst", Quota::per_minute(100).burst(2))
        .quota_named("say \"daily\"\\", Quota::per_day(1_000));
    let layer = guard([ip], &clock).into_layer();
    let policy = [
        member("burst", &[("q", 100), ("w", 60)]),
        member("say \"daily\"\\", &[("q", 1_000), ("w", 86_400)]),
    ];
    for left in [1, 0] {
        let seen = send(&layer, from([192, 0, 2, 1])).await;
        assert_eq!(seen.status, StatusCode::OK);
        assert_eq!(seen.members("ratelimit-policy"), policy);
        let used = 2 - left;
        // 600 ms and 86.4 s for each request, rounded up.
        let resets = [[1, 87], [2, 173]][used as usize - 1];
        assert_eq!(
            seen.members("ratelimit"),
            [
                member("burst", &[("r", left), ("t", resets[0])]),
                member("say \"daily\"\\", &[("r", 1_000 - used), ("t", resets[1])]),
            ]
        );
    }
    let refused = send(&layer, from([192, 0, 2, 1])).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.members("ratelimit-policy"), policy);
    assert_eq!(
        refused.members("ratelimit")[0],
        member("burst", &[("r", 0), ("t", 2)])
    );
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("cache-control"), "no-store");
}

// R12
#[tokio::test]
async fn retry_after_is_whole_seconds_and_sufficient() {
    let clock = clock();
    let quota = Limit::new("ip", KeyExtractor::client_ip())
        .quota(Quota::per_second(10))
        .quota(Quota::per_minute(20));
    let layer = guard([quota], &clock).into_layer();
    let mut served = 0;
    for _ in 0..40 {
        let seen = send(&layer, from([192, 0, 2, 1])).await;
        if seen.status == StatusCode::OK {
            served += 1;
            continue;
        }
        let secs: u64 = seen.header("retry-after").parse().unwrap();
        assert!(secs >= 1);
        clock.advance(Duration::from_secs(secs));
        let again = send(&layer, from([192, 0, 2, 1])).await;
        assert_eq!(again.status, StatusCode::OK, "after {secs} s");
        served += 1;
    }
    assert!(served > 20);
}

#[tokio::test]
async fn refusals_name_the_quotas_in_every_format() {
    let clock = clock();
    let key = Limit::new("key", KeyExtractor::client_ip())
        .quota(Quota::per_minute(1))
        .quota(Quota::per_hour(100));
    let layer = guard([key], &clock).into_layer();
    assert_eq!(
        send(&layer, from([192, 0, 2, 1])).await.status,
        StatusCode::OK
    );

    let openai = send(&layer, from([192, 0, 2, 1])).await;
    assert!(
        openai.body.contains(r#""code":"RATE_LIMITED""#),
        "{}",
        openai.body
    );
    assert_eq!(openai.header("retry-after"), "60");

    let accept = from([192, 0, 2, 1]).header("accept", "application/problem+json");
    let problem = send(&layer, accept).await;
    assert!(
        problem
            .body
            .contains(r##"http-problem-types#quota-exceeded"##)
    );
    assert!(
        problem
            .body
            .contains(r#""violated-policies":["key-minute"]"#),
        "{}",
        problem.body
    );

    let grpc = from([192, 0, 2, 1])
        .method("POST")
        .uri("/pkg.Service/Method")
        .version(Version::HTTP_2)
        .header("content-type", "application/grpc");
    let grpc = send(&layer, grpc).await;
    assert_eq!(
        (grpc.status, grpc.header("grpc-status")),
        (StatusCode::OK, "8")
    );
    assert!(grpc.headers.contains_key("grpc-status-details-bin"));
    assert_eq!(grpc.header("retry-after"), "60");
}

#[tokio::test]
async fn sends_legacy_headers_when_enabled() {
    let clock = clock();
    let limit = Limit::new("ip", KeyExtractor::client_ip())
        .quota(Quota::per_minute(10))
        .quota(Quota::per_day(5));
    let plain = guard([limit.clone()], &clock).into_layer();
    let seen = send(&plain, from([192, 0, 2, 1])).await;
    assert!(!seen.headers.contains_key("x-ratelimit-limit"));
    assert!(!seen.headers.contains_key("x-ratelimit-limit-requests"));

    let layer = guard([limit], &clock)
        .x_ratelimit_headers()
        .openai_headers()
        .into_layer();
    for (left, reset, duration) in [("4", "17280", "4h48m0s"), ("3", "34560", "9h36m0s")] {
        let seen = send(&layer, from([192, 0, 2, 1])).await;
        // Those of the quota with the lowest remaining count.
        assert_eq!(seen.header("x-ratelimit-limit"), "5");
        assert_eq!(seen.header("x-ratelimit-remaining"), left);
        assert_eq!(seen.header("x-ratelimit-reset"), reset);
        assert_eq!(seen.header("x-ratelimit-limit-requests"), "5");
        assert_eq!(seen.header("x-ratelimit-remaining-requests"), left);
        assert_eq!(seen.header("x-ratelimit-reset-requests"), duration);
    }
}

// FH15
#[tokio::test]
async fn epoch_headers_hold_a_timestamp() {
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_day(5));
    let layer = guard([limit], &clock())
        .x_ratelimit_epoch_headers()
        .into_layer();
    let now = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs()
    };
    let before = now();
    let seen = send(&layer, from([192, 0, 2, 1])).await;
    let reset: u64 = seen.header("x-ratelimit-reset").parse().unwrap();
    assert!(
        (before + 17_280..=now() + 17_280).contains(&reset),
        "{reset}"
    );
    assert_eq!(seen.header("x-ratelimit-remaining"), "4");
}

#[tokio::test]
async fn openai_resets_are_durations() {
    for (quota, reset) in [
        (Quota::per_second(100), "10ms"),
        (Quota::per_second(7), "143ms"),
        (Quota::per_minute(60), "1s"),
        (Quota::per_hour(10), "6m0s"),
        (Quota::per_minute(40), "2s"),
        (Quota::per_day(23), "1h2m37s"),
    ] {
        let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(quota);
        let layer = guard([limit], &clock()).openai_headers().into_layer();
        let seen = send(&layer, from([192, 0, 2, 1])).await;
        assert_eq!(seen.header("x-ratelimit-reset-requests"), reset, "{quota}");
    }
}

#[tokio::test]
async fn two_layers_combine_their_headers() {
    let clock = clock();
    let outer = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(9));
    let inner = Limit::new("all", KeyExtractor::global()).quota(Quota::per_minute(1));
    let service = ServiceBuilder::new()
        .layer(guard([outer], &clock).x_ratelimit_headers().into_layer())
        .layer(guard([inner], &clock).x_ratelimit_headers().into_layer())
        .service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let request = from([192, 0, 2, 1]).body(Full::default()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status);
        let headers = response.headers();
        let lines = headers.get_all("ratelimit").iter();
        let lines: Vec<_> = lines.map(|line| line.to_str().unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("\"all\"") && lines[1].starts_with("\"ip\""));
        // Legacy headers have room for one limit; the inner one wins.
        assert_eq!(headers["x-ratelimit-limit"], "1");
        assert_eq!(headers.get_all("x-ratelimit-limit").iter().count(), 1);
    }
}

// R01
#[tokio::test]
async fn forwarded_addresses_of_untrusted_peers_are_ignored() {
    let clock = clock();
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(1));
    let layer = guard([limit], &clock).into_layer();
    let context = ContextGuard::new().into_layer();
    let service = ServiceBuilder::new()
        .layer(context)
        .layer(layer)
        .service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
    let mut served = 0;
    for claim in 0..1_000u32 {
        let address = IpAddr::from(claim.wrapping_mul(2_654_435_761).to_be_bytes());
        let name = [
            "x-forwarded-for",
            "x-real-ip",
            "true-client-ip",
            "forwarded",
        ];
        let name = name[claim as usize % 4];
        let claim = match name {
            "forwarded" => format!("for={address}"),
            _ => address.to_string(),
        };
        let request = from([192, 0, 2, 1]).header(name, claim);
        let request = request.body(Full::default()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        served += u32::from(response.status() == StatusCode::OK);
    }
    assert_eq!(served, 1);
}

#[tokio::test]
async fn clients_of_a_trusted_proxy_are_counted_separately() {
    let clock = clock();
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(1));
    let proxies = TrustedProxies::new(
        ForwardingHeader::XForwardedFor,
        ["192.0.2.1".parse().unwrap()],
    );
    let service = ServiceBuilder::new()
        .layer(ContextGuard::new().trusted_proxies(proxies).into_layer())
        .layer(guard([limit], &clock).into_layer())
        .service_fn(async |_: Request<Full<Bytes>>| {
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
        });
    for (client, status) in [
        ("203.0.113.1", StatusCode::OK),
        ("203.0.113.2", StatusCode::OK),
        ("203.0.113.1", StatusCode::TOO_MANY_REQUESTS),
    ] {
        let request = from([192, 0, 2, 1]).header("x-forwarded-for", client);
        let request = request.body(Full::default()).unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{client}");
    }
}

// R03
#[tokio::test]
async fn addresses_of_one_network_share_a_bucket() {
    let clock = clock();
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(1));
    let layer = guard([limit], &clock).into_layer();
    let mut served = 0;
    for host in 0..10_000u128 {
        let address = (0x2001_0db8_0000_0007 << 64) | (host * 0x1234_5678_9abc);
        let seen = send(&layer, from(address.to_be_bytes())).await;
        served += u32::from(seen.status == StatusCode::OK);
    }
    assert_eq!(served, 1);
    let next: IpAddr = "2001:db8:0:8::1".parse().unwrap();
    assert_eq!(send(&layer, from(next)).await.status, StatusCode::OK);

    // The same host in three notations.
    for (address, status) in [
        ("1.2.3.4", StatusCode::OK),
        ("::ffff:1.2.3.4", StatusCode::TOO_MANY_REQUESTS),
        ("64:ff9b::1.2.3.4", StatusCode::TOO_MANY_REQUESTS),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(
            send(&layer, from(address)).await.status,
            status,
            "{address}"
        );
    }
}

// R05
#[tokio::test]
async fn refuses_requests_without_an_address() {
    let clock = clock();
    for by in [
        KeyExtractor::client_ip(),
        KeyExtractor::principal(),
        KeyExtractor::route().and(KeyExtractor::client_ip()),
    ] {
        let limit = Limit::new("ip", by).quota(Quota::per_hour(1));
        let layer = guard([limit], &clock).into_layer();
        let anonymous = || RequestContext::builder().anonymous();
        let unknown = Request::builder().extension(anonymous().build());
        let unknown = send(&layer, unknown).await;
        assert_eq!(unknown.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            !unknown.body.contains("PeerAddr"),
            "the response reveals too much"
        );
        // All Unix sockets share one key.
        let unix = || {
            let context = anonymous().client(ClientIp::UnixSocket).build();
            Request::builder().extension(context)
        };
        assert_eq!(send(&layer, unix()).await.status, StatusCode::OK);
        assert_eq!(
            send(&layer, unix()).await.status,
            StatusCode::TOO_MANY_REQUESTS
        );
    }
}

#[tokio::test]
async fn counts_principals_by_id_and_others_by_address() {
    let clock = clock();
    let limit = Limit::new("key", KeyExtractor::principal()).quota(Quota::per_hour(1));
    let layer = guard([limit], &clock).into_layer();
    let (a, b) = (
        Principal::builder("a").build(),
        Principal::builder("b").build(),
    );
    // An id that looks like an address differs from that address.
    let sly = Principal::builder("192.0.2.9").build();
    for principal in [&a, &b, &sly] {
        assert_eq!(
            send(&layer, as_principal(principal)).await.status,
            StatusCode::OK
        );
    }
    let again = send(&layer, as_principal(&a)).await;
    assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS);
    let status = async |request| send(&layer, request).await.status;
    assert_eq!(status(anonymous()).await, StatusCode::OK);
    assert_eq!(status(anonymous()).await, StatusCode::TOO_MANY_REQUESTS);
}

// FP05
#[tokio::test]
async fn a_limit_by_principal_requires_an_authenticator() {
    let clock = clock();
    for by in [
        KeyExtractor::principal(),
        KeyExtractor::dangerous_principal_only(),
    ] {
        let limit = Limit::new("key", by).quota(Quota::per_hour(1));
        let layer = guard([limit], &clock).into_layer();
        let unchecked = send(&layer, from([192, 0, 2, 9])).await;
        assert_eq!(unchecked.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(
            !unchecked.body.contains("identity"),
            "the response reveals too much"
        );
    }
}

#[tokio::test]
async fn principal_only_skips_other_requests() {
    let clock = clock();
    let limit =
        Limit::new("key", KeyExtractor::dangerous_principal_only()).quota(Quota::per_hour(1));
    let layer = guard([limit], &clock).into_layer();
    for _ in 0..3 {
        let seen = send(&layer, anonymous()).await;
        assert_eq!(seen.status, StatusCode::OK);
        assert!(!seen.headers.contains_key("ratelimit"));
    }
    let a = Principal::builder("a").build();
    assert_eq!(send(&layer, as_principal(&a)).await.status, StatusCode::OK);
    let again = send(&layer, as_principal(&a)).await;
    assert_eq!(again.status, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn overrides_replace_and_extend_the_quotas_of_a_limit() {
    let clock = clock();
    let limit = Limit::new("key", KeyExtractor::principal()).quota(Quota::per_minute(60));
    let layer = guard([limit], &clock).into_layer();
    let mut own = QuotaOverrides::default();
    own.requests_per_minute = NonZeroU32::new(600);
    own.requests_per_day = NonZeroU32::new(2);
    let vip = Principal::builder("vip").quotas(own).build();
    let seen = send(&layer, as_principal(&vip)).await;
    assert_eq!(
        seen.members("ratelimit-policy"),
        [
            member("key", &[("q", 600), ("w", 60)]),
            member("key-day", &[("q", 2), ("w", 86_400)]),
        ]
    );
    assert_eq!(
        send(&layer, as_principal(&vip)).await.status,
        StatusCode::OK
    );
    let refused = send(&layer, as_principal(&vip)).await;
    assert_eq!(refused.header("retry-after"), "43200");

    // A changed record applies immediately, and the usage is kept.
    own.requests_per_day = NonZeroU32::new(4);
    let vip = Principal::builder("vip").quotas(own).build();
    let seen = send(&layer, as_principal(&vip)).await;
    assert_eq!(
        seen.status,
        StatusCode::TOO_MANY_REQUESTS,
        "all of the day is used"
    );
    clock.advance(Duration::from_secs(21_600));
    assert_eq!(
        send(&layer, as_principal(&vip)).await.status,
        StatusCode::OK
    );

    let usual = Principal::builder("usual").build();
    let seen = send(&layer, as_principal(&usual)).await;
    assert_eq!(
        seen.members("ratelimit-policy"),
        [member("key", &[("q", 60), ("w", 60)])]
    );
}

#[tokio::test]
async fn counts_by_route_model_header_closure_and_combinations() {
    let of = |context: RequestContextBuilder| Request::builder().extension(context.build());
    let route = |pattern: &'static str| of(client().route(MatchedRoute::new(pattern)));
    let model = |name: &'static str| {
        of(client().model_request(ModelRequest::new(Some(name.into()), 1, None)))
    };
    let tenant = |name: &'static str| from([192, 0, 2, 1]).header("x-tenant", name);
    let tenants = |a: &'static str, b: &'static str| tenant(a).header("x-tenant", b);
    let bare = || from([192, 0, 2, 1]);
    let x_tenant = HeaderName::from_static("x-tenant");
    let closure = KeyExtractor::from_fn(|head| Some(Cow::Borrowed(head.uri.host()?)));
    let host = |uri: &'static str| bare().uri(uri);
    let both = |pattern: &'static str, name| route(pattern).header("x-tenant", name);
    // The first and the second have the same key, the third another.
    for (by, [first, second, third]) in [
        (
            KeyExtractor::global(),
            [bare(), from([192, 0, 2, 2]), bare()],
        ),
        (
            KeyExtractor::route(),
            [route("/a"), route("/a"), route("/b")],
        ),
        (KeyExtractor::route(), [bare(), bare(), route("/a")]),
        (KeyExtractor::model(), [model("m"), model("m"), model("n")]),
        (KeyExtractor::model(), [bare(), bare(), model("")]),
        (
            KeyExtractor::header(x_tenant.clone()),
            [tenant("a"), tenant("a"), tenant("b")],
        ),
        (
            KeyExtractor::header(x_tenant.clone()),
            [bare(), bare(), tenant("")],
        ),
        (
            KeyExtractor::header(x_tenant.clone()),
            [tenants("a", "b"), tenant("a,b"), tenants("b", "a")],
        ),
        (
            closure,
            [host("http://a/1"), host("http://a/2"), host("http://b/")],
        ),
        (
            KeyExtractor::route().and(KeyExtractor::header(x_tenant)),
            [both("/a", "b"), both("/a", "b"), both("/a", "c")],
        ),
        (
            KeyExtractor::client_ip_prefix(48).and(KeyExtractor::route()),
            [route("/a"), route("/a"), from([192, 0, 2, 2])],
        ),
    ] {
        let everything = format!("{by:?}").contains("everything");
        let limit = Limit::new("limit", by).quota(Quota::per_hour(1));
        let shown = format!("{limit:?}");
        let layer = guard([limit], &clock()).into_layer();
        assert_eq!(send(&layer, first).await.status, StatusCode::OK, "{shown}");
        let second = send(&layer, second).await.status;
        assert_eq!(second, StatusCode::TOO_MANY_REQUESTS, "{shown}");
        let third = send(&layer, third).await.status;
        assert_eq!(third == StatusCode::OK, !everything, "{shown}");
    }
}

#[tokio::test]
async fn a_refused_request_debits_no_limit() {
    let clock = clock();
    let ip = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_hour(10));
    let all = Limit::new("all", KeyExtractor::global()).quota(Quota::per_hour(2));
    let layer = guard([ip, all], &clock).into_layer();
    for _ in 0..2 {
        assert_eq!(
            send(&layer, from([192, 0, 2, 1])).await.status,
            StatusCode::OK
        );
    }
    for _ in 0..20 {
        let refused = send(&layer, from([192, 0, 2, 1])).await;
        assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
        let statuses = refused.members("ratelimit");
        assert_eq!((statuses[0].1[0].1, statuses[1].1[0].1), (8, 0));
    }
    clock.advance(Duration::from_secs(1_800));
    assert_eq!(
        send(&layer, from([192, 0, 2, 1])).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn requests_have_the_configured_cost() {
    let clock = clock();
    let heavy = Limit::new("ip", KeyExtractor::client_ip())
        .quota(Quota::per_hour(10))
        .cost_by(|head| match head.uri.path() {
            "/huge" => 11,
            "/batch" => 4,
            "/free" => 0,
            _ => 1,
        });
    let layer = guard([heavy], &clock).into_layer();
    let left = async |path: &str| {
        let seen = send(&layer, from([192, 0, 2, 1]).uri(path)).await;
        (seen.status.as_u16(), seen.members("ratelimit")[0].1[0].1)
    };
    assert_eq!(left("/batch").await, (200, 6));
    assert_eq!(left("/one").await, (200, 5));
    assert_eq!(left("/free").await, (200, 5));
    assert_eq!(left("/batch").await, (200, 1));
    assert_eq!(left("/batch").await, (429, 1));
    let huge = send(&layer, from([192, 0, 2, 1]).uri("/huge")).await;
    assert!(huge.body.contains("COST_EXCEEDS_QUOTA"));
    assert!(
        !huge.headers.contains_key("retry-after"),
        "no wait would help"
    );
    assert_eq!(left("/one").await, (200, 0));
    assert_eq!(left("/free").await, (429, 0));
}

#[tokio::test]
async fn replaced_limits_apply_immediately_and_keep_their_state() {
    let clock = clock();
    let of = |name: &str, count| {
        limits([Limit::new(name, KeyExtractor::client_ip()).quota(Quota::per_minute(count))])
    };
    let shared = SharedLimits::from(of("ip", 2));
    let store = MemoryLimitStore::with_clock(100, clock);
    let layer = RateLimit::with_store(shared.clone(), store).into_layer();
    let status = async || send(&layer, from([192, 0, 2, 1])).await.status;
    assert_eq!(status().await, StatusCode::OK);
    assert_eq!(status().await, StatusCode::OK);
    assert_eq!(status().await, StatusCode::TOO_MANY_REQUESTS);
    // The quota per minute stays used up.
    shared.replace(of("ip", 600));
    assert_eq!(status().await, StatusCode::TOO_MANY_REQUESTS);
    shared.replace(of("another", 1));
    assert_eq!(status().await, StatusCode::OK);
    assert_eq!(status().await, StatusCode::TOO_MANY_REQUESTS);
}

#[test]
fn rejects_empty_and_ambiguous_limits() {
    use LimitsErrorKind as Kind;
    let ip = || Limit::new("ip", KeyExtractor::client_ip());
    let minute = Quota::per_minute(1);
    for (limits, kind, name) in [
        (vec![ip()], Kind::NoQuota, "ip"),
        (vec![ip().quota_named("", minute)], Kind::Name, ""),
        (vec![ip().quota_named("ä", minute)], Kind::Name, "ä"),
        (vec![ip().quota_named("a\nb", minute)], Kind::Name, "a\nb"),
        (
            vec![ip().quota_named("x".repeat(65), minute)],
            Kind::Name,
            &*"x".repeat(65),
        ),
        (
            vec![ip().quota(minute).quota(Quota::per_minute(2))],
            Kind::SamePeriod,
            "ip",
        ),
        (
            vec![ip().quota(minute), ip().quota(Quota::per_hour(1))],
            Kind::SameName,
            "ip",
        ),
        (
            vec![ip().quota(minute), ip().quota_named("other", minute)],
            Kind::SameName,
            "ip",
        ),
        (
            vec![
                ip().quota_named("daily", Quota::per_day(1)),
                Limit::new("key", KeyExtractor::client_ip())
                    .quota_named("daily", Quota::per_day(1)),
            ],
            Kind::SameName,
            "daily",
        ),
        (
            ["a", "b", "c"]
                .map(|name| Limit::new(name, KeyExtractor::principal()).quota(minute))
                .to_vec(),
            Kind::TooMany,
            "c",
        ),
    ] {
        let error = Limits::new(limits).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
}

#[tokio::test]
async fn upholds_the_guard_contract() {
    let limit = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(10_000));
    let layer = guard([limit], &clock()).into_layer();
    contract::uphold(&layer, || from([192, 0, 2, 1]).body(()).unwrap()).await;
}

// FC09: the standard headers have whole seconds only.
#[tokio::test]
async fn quotas_of_fractional_seconds_are_not_announced() {
    let clock = clock();
    let short = |text: &str| text.parse::<Quota>().unwrap();
    let both = Limit::new("ip", KeyExtractor::client_ip())
        .quota_named("short", short("5/500ms"))
        .quota_named("long", Quota::per_minute(60));
    let layer = guard([both], &clock).into_layer();
    let seen = send(&layer, from([192, 0, 2, 1])).await;
    assert_eq!(seen.header("ratelimit-policy"), r#""long";q=60;w=60"#);
    assert_eq!(seen.header("ratelimit"), r#""long";r=59;t=1"#);
    for quota in ["5/500ms", "2/1500ms"] {
        let alone = Limit::new("ip", KeyExtractor::client_ip()).quota(short(quota));
        let layer = guard([alone], &clock).into_layer();
        let passed = send(&layer, from([192, 0, 2, 1])).await;
        assert_eq!(passed.status, 200);
        assert!(!passed.headers.contains_key("ratelimit-policy"), "{quota}");
        assert!(!passed.headers.contains_key("ratelimit"), "{quota}");
        let mut refused = passed;
        while refused.status == 200 {
            refused = send(&layer, from([192, 0, 2, 1])).await;
        }
        assert!(!refused.headers.contains_key("ratelimit-policy"), "{quota}");
        assert_eq!(refused.header("retry-after"), "1");
    }
}

/// A store that must not be called.
struct Unasked;

impl LimitStore for Unasked {
    type Wait = NoWait;

    fn take(&self, _buckets: &[Bucket<'_>]) -> StoreReply<NoWait> {
        panic!("the store was called for a request without limits")
    }

    fn settle(&self, _bucket: &Bucket<'_>, _delta: i64) {}
}

// FC02
#[tokio::test]
async fn uncounted_requests_do_not_call_the_store() {
    let limit =
        Limit::new("key", KeyExtractor::dangerous_principal_only()).quota(Quota::per_minute(1));
    let layer = RateLimit::with_store(limits([limit]), Unasked).into_layer();
    let anonymous = RequestContext::builder().anonymous().build();
    let seen = send(&layer, Request::builder().extension(anonymous)).await;
    assert_eq!(seen.status, 200);
    assert!(!seen.headers.contains_key("ratelimit"));
}
