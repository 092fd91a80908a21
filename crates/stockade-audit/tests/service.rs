//! Each request has one record, however it ends.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use serde_json::Value;
use stockade_audit::{Audit, AuditLayer, AuditLog, Journal, Overflow, RequestBody};
use stockade_core::{
    client::PeerAddr,
    clock::Timestamp,
    context::{ContextGuard, MatchedRoute, RequestContext},
    guard::{Check, Guard, Head, NoWait},
    identity::Principal,
    llm::{ModelRequest, TokenUsage},
    refusal::{Refusal, RefusalKind},
};
use stockade_testkit::{FakeClock, Probe, Script};
use support::{Memory, records};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};

const START: Timestamp = Timestamp::from_secs(1_769_860_800);

fn log(memory: &Memory) -> AuditLog {
    let journal = Journal::builder(memory.clone(), Overflow::DropAndCount);
    AuditLog::new(journal.clock(FakeClock::at(START)).start().unwrap())
}

/// Returns the only record of a request.
fn record(log: &AuditLog, memory: &Memory) -> Value {
    log.flush(Duration::from_secs(10)).unwrap();
    let mut requests = records(memory, |record| record.get("method").is_some());
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests.remove(0)
}

fn request(path: &str) -> Request<Full<Bytes>> {
    let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
    Request::builder()
        .uri(path)
        .extension(peer)
        .body(Full::default())
        .unwrap()
}

/// A service of the test kit that accepts requests with a body.
fn probe(
    script: Script,
) -> impl Service<
    Request<RequestBody<Full<Bytes>>>,
    Response = Response<stockade_testkit::ProbeBody>,
    Error = stockade_testkit::ProbeError,
    Future: Send,
> + Clone {
    ServiceBuilder::new()
        .map_request(|request: Request<RequestBody<Full<Bytes>>>| request.map(|_| ()))
        .service(Probe::new(script))
}

#[tokio::test]
async fn completed_request_has_all_fields() {
    let memory = Memory::default();
    let clock = FakeClock::at(START);
    let journal = Journal::builder(memory.clone(), Overflow::DropAndCount).clock(clock.clone());
    let log = AuditLog::new(journal.start().unwrap());
    let service = ServiceBuilder::new()
        .layer(ContextGuard::new().into_layer())
        .layer(AuditLayer::new(log.clone()).user_agent(true))
        .service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
            let clock = clock.clone();
            async move {
                let context = RequestContext::of(request.extensions()).unwrap().clone();
                context.authenticate(Principal::builder("team-core").build());
                context.set_model_request(ModelRequest::new(Some("qwen".into()), 7, None));
                let body = request.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, "hello");
                context.set_usage(TokenUsage {
                    prompt_tokens: 7,
                    completion_tokens: 2,
                });
                clock.advance(Duration::from_micros(12_345));
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("answer"))))
            }
        });
    let mut post = request("/v1/chat/completions?api_key=hidden").map(|_| Full::from("hello"));
    *post.method_mut() = Method::POST;
    post.headers_mut()
        .insert("user-agent", "curl/8".parse().unwrap());
    RequestContext::get_or_insert(post.extensions_mut())
        .set_route(MatchedRoute::new("/v1/{*rest}"));
    let response = service.oneshot(post).await.unwrap();
    let id = response.headers()["x-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    response.into_body().collect().await.unwrap();

    let record = record(&log, &memory);
    let expected = serde_json::json!({
        "timestamp": "2026-01-31T12:00:00.012345Z",
        "level": "info",
        "message": "request completed",
        "request_id": id,
        "method": "POST",
        "path": "/v1/{*rest}",
        "route": "/v1/{*rest}",
        "ip": "203.0.113.7",
        "user": "team-core",
        "status": 200,
        "latency_ms": 12.345,
        "ttfb_ms": 12.345,
        "outcome": "completed",
        "bytes_in": 5,
        "bytes_out": 6,
        "model": "qwen",
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "user_agent": "curl/8",
        "seq": 2,
    });
    assert_eq!(record, expected);
}

// A16
#[tokio::test]
async fn path_without_a_route_is_recorded_without_query_and_secrets() {
    let memory = Memory::default();
    let log = log(&memory);
    let service = AuditLayer::new(log.clone()).layer(probe(Script::Complete));
    let path = "/v1/sk_team_0123456789abcdefghijABCDEFGHIJ012345/x?api_key=hidden&access_token=t";
    let response = service.oneshot(request(path)).await.unwrap();
    response.into_body().collect().await.unwrap();
    let record = record(&log, &memory);
    assert_eq!(record["path"], "/v1/[redacted]/x");
    let text = record.to_string();
    assert!(
        !text.contains("hidden") && !text.contains("access_token"),
        "{text}"
    );
}

// FA05
#[tokio::test]
async fn different_principals_have_different_ids() {
    let long = |last| format!("{}{last}", "o".repeat(200));
    let ids = [
        "token:alice".to_owned(),
        "token:bob".to_owned(),
        "token:0123456789abcdefghijABCDEFGHIJ0123456789".to_owned(),
        "alice@example.com".to_owned(),
        "key=team?x=y".to_owned(),
        "\"quoted\"\n".to_owned(),
        long(1),
        long(2),
    ];
    let mut recorded = Vec::new();
    for id in &ids {
        let memory = Memory::default();
        let log = log(&memory);
        let principal = Principal::builder(id.as_str()).build();
        let service = ServiceBuilder::new()
            .layer(ContextGuard::new().into_layer())
            .layer(AuditLayer::new(log.clone()))
            .service_fn(move |request: Request<RequestBody<Full<Bytes>>>| {
                let context = RequestContext::of(request.extensions()).unwrap();
                context.authenticate(principal.clone());
                std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
            });
        service.oneshot(request("/")).await.unwrap();
        let record = record(&log, &memory);
        recorded.push(record["user"].as_str().unwrap().to_owned());
    }
    assert_eq!(recorded[..6], ids[..6]);
    // Distinct, stable and short.
    assert_ne!(recorded[6], recorded[7]);
    for user in &recorded[6..] {
        assert!(user.starts_with("ooo") && user.len() < 200, "{user}");
    }
}

// L01
#[tokio::test]
async fn hostile_user_agent_and_model_stay_within_one_line() {
    let memory = Memory::default();
    let log = log(&memory);
    let model = "m\",\"seq\":9}\n{\"forged\":true,\u{1b}[2J\u{202e}\u{2028}";
    let service = AuditLayer::new(log.clone())
        .user_agent(true)
        .layer(tower::service_fn(
            |request: Request<RequestBody<Full<Bytes>>>| async move {
                let asked = ModelRequest::new(Some(model.into()), 0, None);
                let context = RequestContext::of(request.extensions()).unwrap();
                context.set_model_request(asked.with_relabelled_images(1));
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            },
        ));
    let mut hostile = request("/");
    let agent = http::HeaderValue::from_bytes(b"\xff\t\x80 Bearer abc").unwrap();
    hostile.headers_mut().insert("user-agent", agent);
    service.oneshot(hostile).await.unwrap();
    let record = record(&log, &memory);
    assert_eq!(record["model"], model);
    // FH10
    assert_eq!(record["relabelled_images"], 1);
    assert_eq!(record["user_agent"], "\u{fffd}\t\u{fffd} [redacted]");
    let raw = memory.text();
    let hidden =
        |char: char| (char.is_control() && char != '\n') || "\u{202e}\u{2028}".contains(char);
    assert!(!raw.contains(hidden), "{raw:?}");
    assert_eq!(raw.lines().count(), 2, "{raw}");
}

struct Closed;

impl Guard for Closed {
    const NAME: &'static str = "closed";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Refuse(
            Refusal::new(RefusalKind::Unauthenticated, "no").with_internal_reason("unknown_key"),
        )
    }

    fn admit(&self, _pass: (), _head: &mut Head) {}
}

// L05
#[tokio::test]
async fn a_refusal_names_its_guard_and_cause_also_without_a_context_guard() {
    for grpc in [false, true] {
        let memory = Memory::default();
        let log = log(&memory);
        let service = ServiceBuilder::new()
            .layer(AuditLayer::new(log.clone()))
            .layer(Closed.into_layer())
            .service(probe(Script::Complete));
        let mut request = request(if grpc { "/pkg.Service/Method" } else { "/" });
        if grpc {
            *request.method_mut() = Method::POST;
            *request.version_mut() = Version::HTTP_2;
            request
                .headers_mut()
                .insert("content-type", "application/grpc".parse().unwrap());
        }
        let response = service.oneshot(request).await.unwrap();
        drop(response.into_body().collect().await.unwrap());
        let record = record(&log, &memory);
        for (field, value) in [
            ("level", "warn"),
            ("message", "request refused"),
            ("outcome", "completed"),
            ("guard", "closed"),
            ("code", "AUTHENTICATION_FAILED"),
            ("reason", "unknown_key"),
            ("ip", "203.0.113.7"),
        ] {
            assert_eq!(record[field], value, "{field}");
        }
        assert_eq!(record["status"], if grpc { 200 } else { 401 });
        assert_eq!(
            record
                .get("grpc_status")
                .is_some_and(|status| *status == 16),
            grpc
        );
    }
}

/// Reads `frames` frames, then drops the body.
async fn read<B>(body: B, frames: usize)
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Debug,
{
    let mut body = body;
    for _ in 0..frames {
        let Some(Ok(_)) = body.frame().await else {
            return;
        };
    }
}

// L05
#[tokio::test]
async fn distinguishes_each_end_of_a_body() {
    for (script, frames, outcome, bytes, grpc_status) in [
        (Script::Complete, 9, "completed", 12, Some(0)),
        (Script::Complete, 0, "client_left", 0, None),
        (Script::Complete, 1, "client_left", 6, None),
        (Script::BodyFails, 9, "failed", 6, None),
    ] {
        let memory = Memory::default();
        let log = log(&memory);
        let service = AuditLayer::new(log.clone()).layer(probe(script));
        let response = service.oneshot(request("/")).await.unwrap();
        read(response.into_body(), frames).await;
        let record = record(&log, &memory);
        assert_eq!(record["outcome"], outcome, "{script:?} {frames}");
        assert_eq!(record["bytes_out"], bytes, "{script:?} {frames}");
        assert_eq!(record["status"], 200);
        assert_eq!(
            record.get("grpc_status").and_then(Value::as_u64),
            grpc_status
        );
        assert_eq!(record.get("ttfb_ms").is_some(), bytes > 0);
    }
}

// L05
#[tokio::test]
async fn request_without_a_response_has_a_record() {
    type Outcome = (&'static str, &'static str);
    async fn outcome<S>(service: S, drop_it: bool) -> Outcome
    where
        S: Service<Request<RequestBody<Full<Bytes>>>, Response = Response<Full<Bytes>>>
            + Clone
            + Send
            + 'static,
        S::Future: Send,
        S::Error: Send,
    {
        let memory = Memory::default();
        let log = log(&memory);
        let service = AuditLayer::new(log.clone()).layer(service);
        let call = service.oneshot(request("/"));
        if drop_it {
            assert!(tokio::time::timeout(Duration::ZERO, call).await.is_err());
        } else {
            // The task catches the panic, as in a server.
            let _ = tokio::spawn(async move { call.await.is_ok() }).await;
        }
        let record = record(&log, &memory);
        assert!(record["status"].is_null());
        match record["outcome"].as_str().unwrap() {
            "failed" => ("failed", "error"),
            "client_left" => ("client_left", "info"),
            other => panic!("{other}"),
        }
    }
    type Inner = Request<RequestBody<Full<Bytes>>>;
    let pending = tower::service_fn(|_: Inner| std::future::pending::<Result<_, Infallible>>());
    let panics = tower::service_fn(|_: Inner| async { panic!("simulated failure") });
    let at_once = tower::service_fn(|_: Inner| -> std::future::Ready<Result<_, Infallible>> {
        panic!("simulated failure")
    });
    let times_out = ServiceBuilder::new()
        .timeout(Duration::ZERO)
        .service(pending);
    let fails = tower::service_fn(|_: Inner| async { Err("simulated failure") });
    assert_eq!(outcome(pending, true).await.0, "client_left");
    assert_eq!(outcome(fails, false).await.0, "failed");
    assert_eq!(outcome(times_out, false).await.0, "failed");
    assert_eq!(
        outcome(panics.map_err(|error: Infallible| error), false)
            .await
            .0,
        "failed"
    );
    assert_eq!(outcome(at_once, false).await.0, "failed");
}

/// A body that knows its length but never reports its end.
struct Sized(Option<Bytes>);

impl Body for Sized {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        std::task::Poll::Ready(self.0.take().map(|bytes| Ok(http_body::Frame::data(bytes))))
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[tokio::test]
async fn unread_end_of_a_body_is_not_recorded_as_client_left() {
    // The server stops after the last byte, does not read the response to HEAD, and only
    // checks whether an empty body has ended.
    for (method, body, reads) in [
        (Method::GET, "bytes", 1),
        (Method::HEAD, "bytes", 0),
        (Method::GET, "", 0),
    ] {
        let memory = Memory::default();
        let log = log(&memory);
        let service = AuditLayer::new(log.clone()).layer(tower::service_fn(
            |_: Request<RequestBody<Full<Bytes>>>| async {
                let body = Bytes::from(body);
                if body.is_empty() {
                    return Ok::<_, Infallible>(Response::new(Full::new(body).boxed()));
                }
                Ok(Response::new(Sized(Some(body)).boxed()))
            },
        ));
        let mut request = request("/");
        *request.method_mut() = method.clone();
        let response = service.oneshot(request).await.unwrap();
        read(response.into_body(), reads).await;
        assert_eq!(
            record(&log, &memory)["outcome"],
            "completed",
            "{method} {body:?}"
        );
    }
}

#[tokio::test]
async fn keeps_readiness_and_is_shareable() {
    fn shared<T: Clone + Send + Sync>(_: &T) {}
    let memory = Memory::default();
    let log = log(&memory);
    let layer = AuditLayer::new(log.clone());
    shared(&layer);
    // One slot for two requests; a call without `poll_ready` panics.
    let service: Audit<_> = layer.layer(probe(Script::Complete));
    let (mut a, mut b) = (service.clone(), service);
    let one = async { a.ready().await.unwrap().call(request("/")).await };
    let two = async { b.ready().await.unwrap().call(request("/")).await };
    let (one, two) = tokio::join!(one, two);
    for response in [one, two] {
        let body = response.unwrap().into_body().collect().await.unwrap();
        assert!(body.trailers().is_some());
        assert_eq!(body.to_bytes(), stockade_testkit::ProbeBody::DATA.concat());
    }
    let failing = layer.layer(probe(Script::Fails));
    let error = failing.oneshot(request("/")).await.err();
    assert_eq!(error, Some(stockade_testkit::ProbeError));
}

#[tokio::test]
async fn wraps_an_axum_router() {
    use axum::{Router, extract::MatchedPath, routing::post};

    let memory = Memory::default();
    let log = log(&memory);
    let route = |mut request: axum::extract::Request| {
        if let Some(path) = request.extensions().get::<MatchedPath>() {
            let route = MatchedRoute::new(path.as_str());
            RequestContext::get_or_insert(request.extensions_mut()).set_route(route);
        }
        request
    };
    let app: Router = Router::new()
        .route("/echo/{name}", post(|body: Bytes| async { body }))
        .layer(
            ServiceBuilder::new()
                .map_request(route)
                .layer(AuditLayer::new(log.clone())),
        );
    let request = Request::post("/echo/secret-name")
        .body(axum::body::Body::from("four"))
        .unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "four"
    );
    let record = record(&log, &memory);
    assert_eq!(record["route"], "/echo/{name}");
    assert_eq!(
        (&record["bytes_in"], &record["bytes_out"]),
        (&4.into(), &4.into())
    );
    assert!(record["ip"].is_null(), "the peer is unknown");
}
