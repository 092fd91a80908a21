//! Limits on reading bodies: size, encoding, time, memory.

use std::{
    convert::Infallible,
    io,
    num::NonZeroU32,
    pin::Pin,
    sync::Mutex,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, StreamBody};
use stockade_body::{BodyLayer, BodyRules, CheckedBody, Profile};
use stockade_core::{
    client::ClientIp,
    context::{MatchedRoute, RequestContext},
    identity::Principal,
    refusal::RefusalKind,
};
use tokio_stream::StreamExt;
use tower::{Layer, ServiceExt};

use crate::support::{Outcome, frames, json, layer, post, send, slow};

/// A body that must not be read.
struct Unread(SizeHint);

impl Unread {
    fn new() -> Self {
        Self(SizeHint::default())
    }
}

impl Body for Unread {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("a byte was taken");
    }

    fn size_hint(&self) -> SizeHint {
        self.0
    }
}

fn bytes_of(count: usize) -> Bytes {
    vec![b' '; count].into()
}

// B02
#[tokio::test]
async fn refuses_a_large_body_by_its_declared_length() {
    let layer = layer(Profile::bytes().max_bytes(10));
    let claimed = Request::post("/").header("content-length", "11");
    let refused = send(&layer, claimed.body(Unread::new()).unwrap())
        .await
        .refused();
    assert_eq!((refused.status, &*refused.code), (413, "REQUEST_TOO_LARGE"));

    let known = Request::post("/")
        .body(Unread(SizeHint::with_exact(11)))
        .unwrap();
    assert_eq!(send(&layer, known).await.refused().status, 413);
}

// B02
#[tokio::test]
async fn counts_received_bytes() {
    let layer = layer(Profile::bytes().max_bytes(10));
    let (body, read) = frames(vec![bytes_of(4); 1_000]);
    let refused = send(&layer, Request::post("/").body(body).unwrap())
        .await
        .refused();
    assert_eq!(refused.status, 413);
    assert_eq!(*read.lock().unwrap(), 3, "read on");

    // A declared length that is too short changes nothing.
    let (body, _) = frames(vec![bytes_of(4); 3]);
    let request = Request::post("/").header("content-length", "4").body(body);
    assert_eq!(send(&layer, request.unwrap()).await.refused().status, 413);

    let (body, _) = frames([bytes_of(4), Bytes::new(), bytes_of(6)]);
    let passed = send(&layer, Request::post("/").body(body).unwrap())
        .await
        .passed();
    assert_eq!(passed.body, bytes_of(10));
}

#[tokio::test]
async fn validates_frames_as_one_body() {
    let text = r#"{"model":"tiny","messages":[{"role":"user","content":"hällo"}]}"#;
    let body = || {
        frames(
            text.as_bytes()
                .chunks(1)
                .map(Bytes::copy_from_slice)
                .collect::<Vec<_>>(),
        )
        .0
    };
    let request = Request::post("/").header("content-type", "application/json");
    let layer = layer(Profile::openai_chat());
    let passed = send(&layer, request.body(body()).unwrap()).await.passed();
    assert_eq!(passed.body, text);
}

// B04
#[tokio::test]
async fn refuses_encoded_bodies_before_reading() {
    let layer = layer(Profile::json());
    for encodings in [
        &["gzip"][..],
        &["br"],
        &["deflate"],
        &["zstd"],
        &["x-unknown"],
        &["gzip, gzip"],
        &["identity, gzip"],
        &["identity", "gzip"],
        &[""],
    ] {
        let mut request = Request::post("/").header("content-type", "application/json");
        for encoding in encodings {
            request = request.header("content-encoding", *encoding);
        }
        let refused = send(&layer, request.body(Unread::new()).unwrap())
            .await
            .refused();
        let found = (refused.status, &*refused.code);
        assert_eq!(found, (415, "UNSUPPORTED_ENCODING"), "{encodings:?}");
    }
    let mut identity = post("application/json", "{}");
    identity
        .headers_mut()
        .insert("content-encoding", "Identity".parse().unwrap());
    assert_eq!(send(&layer, identity).await.code(), "passed");
}

#[tokio::test]
async fn refuses_other_types_before_reading() {
    let layer = layer(Profile::json().content_types(["application/json", "application/x-json"]));
    for content_type in [
        "text/plain",
        "application/json; charset=utf-16",
        "",
        "application/jso",
    ] {
        let request = Request::post("/").header("content-type", content_type);
        let refused = send(&layer, request.body(Unread::new()).unwrap())
            .await
            .refused();
        assert_eq!(refused.status, 415, "{content_type}");
        assert!(
            refused.message.contains("application/x-json"),
            "{refused:?}"
        );
    }
    assert_eq!(
        send(&layer, post("application/x-json", "{}")).await.code(),
        "passed"
    );
}

#[tokio::test]
async fn routes_without_a_profile_accept_no_body() {
    let layer = BodyLayer::new(BodyRules::new().route(Method::GET, "/a/{b}", Profile::bytes()));
    let empty = Request::get("/x").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(send(&layer, empty).await.code(), "passed");
    let (empty, _) = frames([]);
    assert_eq!(
        send(&layer, Request::post("/x").body(empty).unwrap())
            .await
            .code(),
        "passed"
    );

    let (body, _) = frames([bytes_of(1)]);
    let refused = send(&layer, Request::post("/x").body(body).unwrap())
        .await
        .refused();
    assert_eq!(refused.status, 413);

    // The route is the one that the router matched.
    let to = |method: Method, matched: Option<&str>, path: &str| {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(matched) = matched {
            let context = RequestContext::builder().route(MatchedRoute::new(matched));
            request = request.extension(context.build());
        }
        request.body(Full::new(bytes_of(1))).unwrap()
    };
    for (request, passes) in [
        (to(Method::GET, Some("/a/{b}"), "/a/x"), true),
        (to(Method::HEAD, Some("/a/{b}"), "/a/x"), true),
        (to(Method::POST, Some("/a/{b}"), "/a/x"), false),
        (to(Method::GET, Some("/c"), "/a/{b}"), false),
        (to(Method::GET, None, "/a/x"), false),
    ] {
        let line = format!("{} {}", request.method(), request.uri());
        assert_eq!(
            send(&layer, request).await.code() == "passed",
            passes,
            "{line}"
        );
    }
}

// B03
#[tokio::test(start_paused = true)]
async fn a_body_has_a_deadline() {
    let rules = || {
        BodyLayer::new(
            BodyRules::new()
                .fallback(Profile::bytes())
                .deadline(Duration::from_secs(5))
                .min_rate(None, Duration::ZERO),
        )
    };
    let quick = slow(Duration::from_secs(1), vec![bytes_of(1); 3]);
    let passed = send(&rules(), Request::post("/").body(quick).unwrap()).await;
    assert_eq!(passed.passed().body, bytes_of(3));

    let late = slow(Duration::from_secs(1), vec![bytes_of(1); 10]);
    let began = tokio::time::Instant::now();
    let refused = send(&rules(), Request::post("/").body(late).unwrap()).await;
    let refused = refused.refused();
    assert_eq!((refused.status, &*refused.code), (408, "REQUEST_TIMEOUT"));
    assert_eq!(began.elapsed().as_secs(), 5);
}

// B03
#[tokio::test(start_paused = true)]
async fn a_body_has_a_minimum_rate() {
    let layer = BodyLayer::new(
        BodyRules::new()
            .fallback(Profile::bytes())
            .min_rate(NonZeroU32::new(100), Duration::from_secs(2)),
    );
    let run = async |bytes: usize| {
        let body = slow(Duration::from_secs(1), vec![bytes_of(bytes); 10]);
        let began = tokio::time::Instant::now();
        let outcome = send(&layer, Request::post("/").body(body).unwrap()).await;
        (outcome.code(), began.elapsed().as_secs())
    };
    assert_eq!(run(110).await.0, "passed");
    // One byte per second extends nothing; half the rate extends a little.
    assert_eq!(run(1).await, ("REQUEST_TIMEOUT".to_owned(), 2));
    let (code, secs) = run(50).await;
    assert_eq!(code, "REQUEST_TIMEOUT");
    assert!((3..=5).contains(&secs), "{secs}");
}

// B10
#[tokio::test]
async fn limits_the_memory_of_all_bodies() {
    const BODY: usize = 1 << 20;
    let layer = BodyLayer::new(
        BodyRules::new()
            .fallback(Profile::bytes())
            .total_memory(10 * BODY),
    );
    let kept = Mutex::new(Vec::new());
    let keep = |request: Request<CheckedBody<_>>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        kept.lock().unwrap().push(body.slice(..1));
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    };
    let mut statuses = Vec::new();
    for _ in 0..200 {
        let (body, _) = frames(vec![bytes_of(BODY / 8); 8]);
        let service = layer.layer(tower::service_fn(keep));
        let response = service
            .oneshot(Request::post("/").body(body).unwrap())
            .await;
        let response = response.unwrap();
        statuses.push(response.status().as_u16());
        if response.status() == 503 {
            assert_eq!(response.headers()["retry-after"], "1");
        }
    }
    // A handler that keeps one byte of a body keeps its whole reservation.
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10);
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)));

    // A body that cannot fit is refused before it is read.
    let large = Unread(SizeHint::with_exact(1));
    assert_eq!(
        send(&layer, Request::post("/").body(large).unwrap())
            .await
            .refused()
            .status,
        503
    );

    kept.lock().unwrap().clear();
    let (body, _) = frames([bytes_of(10 * BODY)]);
    assert_eq!(
        send(&layer, Request::post("/").body(body).unwrap())
            .await
            .code(),
        "passed"
    );
}

// B10
#[tokio::test]
async fn a_refused_body_releases_its_memory() {
    let layer = BodyLayer::new(
        BodyRules::new()
            .fallback(Profile::json())
            .total_memory(1_000),
    );
    for _ in 0..100 {
        let request = post("application/json", vec![b'['; 900]);
        assert_eq!(send(&layer, request).await.code(), "TOO_DEEP");
    }
    assert_eq!(
        send(&layer, post("application/json", "[]")).await.code(),
        "passed"
    );
}

// B10
#[test]
fn allocates_the_body_once() {
    const BODY: usize = 8 << 20;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let layer = layer(Profile::bytes());
    let frame = bytes_of(16 << 10);
    let measured = allocation_counter::measure(|| {
        let body = tokio_stream::iter((0..BODY / frame.len()).map(|_| frame.clone()));
        let body = StreamBody::new(body.map(|frame| Ok::<_, Infallible>(Frame::data(frame))));
        let sized = Sized(body, BODY as u64);
        let outcome = runtime.block_on(send(&layer, Request::post("/").body(sized).unwrap()));
        assert_eq!(outcome.passed().body.len(), BODY);
    });
    assert!(
        measured.bytes_max < (BODY + (64 << 10)) as u64,
        "{measured:?}"
    );
}

/// A body of a known length.
struct Sized<B>(B, u64);

impl<B> Body for Sized<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.1)
    }
}

// B02
#[tokio::test]
async fn refuses_an_incomplete_body() {
    let broken = tokio_stream::iter([
        Ok(Frame::data(Bytes::from("{\"a\":"))),
        Err(io::Error::other("reset by 192.0.2.1")),
    ]);
    let request = Request::post("/").header("content-type", "application/json");
    let request = request.body(StreamBody::new(broken)).unwrap();
    let refused = send(&layer(Profile::json()), request).await.refused();
    assert_eq!((refused.status, &*refused.code), (400, "UNREADABLE_BODY"));
    assert!(!refused.message.contains("192.0.2.1"));
}

#[tokio::test]
async fn counts_a_streamed_body_without_buffering() {
    let layer = layer(Profile::streamed().max_bytes(10));
    let frames_seen = Mutex::new(Vec::new());
    let read = |request: Request<CheckedBody<_>>| async {
        let mut body = request.into_body();
        while let Some(frame) = body.frame().await {
            let length = frame.map(|frame| frame.into_data().unwrap().len());
            frames_seen
                .lock()
                .unwrap()
                .push(length.map_err(|error| error.is::<http_body_util::LengthLimitError>()));
        }
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    };
    let (body, _) = frames([bytes_of(4), bytes_of(6), bytes_of(1)]);
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    let request = Request::post("/").extension(context.clone());
    let service = layer.layer(tower::service_fn(read));
    let response = service.oneshot(request.body(body).unwrap()).await;
    assert_eq!(response.unwrap().status(), 200);
    // The excess bytes were read as well.
    assert_eq!(context.bytes_read(), 11);
    assert_eq!(
        frames_seen.into_inner().unwrap()[..3],
        [Ok(4), Ok(6), Err(true)]
    );

    let claimed = Request::post("/")
        .header("content-length", "11")
        .body(Unread::new());
    assert_eq!(send(&layer, claimed.unwrap()).await.refused().status, 413);
}

#[tokio::test]
async fn records_the_outcome_in_the_context() {
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    let mut request = post("application/json", "{");
    request.extensions_mut().insert(context.clone());
    assert_eq!(
        send(&layer(Profile::json()), request).await.code(),
        "INVALID_JSON"
    );
    let denial = context.denial().unwrap();
    assert_eq!((denial.guard, denial.kind), ("body", RefusalKind::Invalid));
    assert_eq!(
        (denial.code, denial.internal_reason),
        ("INVALID_JSON", "a member's name")
    );
}

#[tokio::test]
async fn the_global_limit_applies_without_one_in_the_profile() {
    let layer = BodyLayer::new(
        BodyRules::new()
            .fallback(Profile::bytes())
            .max_bytes(3)
            .route(Method::POST, "/large", Profile::bytes().max_bytes(5)),
    );
    for (path, length, passes) in [
        ("/", 3, true),
        ("/", 4, false),
        ("/large", 5, true),
        ("/large", 6, false),
    ] {
        let request = Request::post(path)
            .body(Full::new(bytes_of(length)))
            .unwrap();
        assert_eq!(
            send(&layer, request).await.code() == "passed",
            passes,
            "{path} {length}"
        );
    }
}

#[tokio::test]
async fn refuses_an_empty_body_as_json() {
    assert_eq!(json(Profile::json(), "").await.code(), "INVALID_JSON");
}

/// A body sent by this principal.
fn by<B>(id: &str, body: B) -> Request<B> {
    let mut request = Request::post("/").body(body).unwrap();
    let principal = Principal::builder(id).build();
    RequestContext::get_or_insert(request.extensions_mut()).authenticate(principal);
    request
}

// FA06
#[tokio::test(start_paused = true)]
async fn limits_the_memory_of_one_principal() {
    const BODY: usize = 1 << 20;
    let layer = BodyLayer::new(
        BodyRules::new()
            .fallback(Profile::bytes())
            .max_bytes(BODY as u64)
            .total_memory(8 * BODY),
    );
    let large = || frames(vec![bytes_of(BODY / 8); 8]).0;
    let mut held = Vec::new();
    for _ in 0..20 {
        match send(&layer, by("greedy", large())).await {
            Outcome::Passed(passed) => held.push(passed),
            Outcome::Refused(refused) => {
                let found = (refused.status, &*refused.code);
                assert_eq!(found, (429, "BODY_MEMORY_LIMIT"));
            }
        }
    }
    // A quarter.
    assert_eq!(held.len(), 2);
    // Slow bodies of any size count; small complete ones do not.
    let slowly = slow(Duration::from_millis(1), vec![bytes_of(1)]);
    let refused = send(&layer, by("greedy", slowly)).await;
    assert_eq!(refused.code(), "BODY_MEMORY_LIMIT");
    let small = Full::new(bytes_of(1));
    assert_eq!(send(&layer, by("greedy", small)).await.code(), "passed");
    // One with a declared length is refused before it is read.
    let unread = Unread(SizeHint::with_exact(BODY as u64));
    let refused = send(&layer, by("greedy", unread)).await;
    assert_eq!(refused.code(), "BODY_MEMORY_LIMIT");

    for other in ["one", "two", "three"] {
        held.push(send(&layer, by(other, large())).await.passed());
        held.push(send(&layer, by(other, large())).await.passed());
    }
    held.clear();
    assert_eq!(send(&layer, by("greedy", large())).await.code(), "passed");
}

// FA06
#[tokio::test]
async fn a_share_fits_one_body_of_the_maximum_size() {
    const BODY: usize = 1 << 20;
    let layer = BodyLayer::new(
        BodyRules::new()
            .fallback(Profile::bytes())
            .max_bytes(BODY as u64)
            .total_memory(2 * BODY)
            .memory_per_client(1),
    );
    let body = || Full::new(bytes_of(BODY));
    let held = send(&layer, by("key", body())).await.passed();
    assert_eq!(
        send(&layer, by("key", body())).await.code(),
        "BODY_MEMORY_LIMIT"
    );
    drop(held);
    assert_eq!(send(&layer, by("key", body())).await.code(), "passed");
}
