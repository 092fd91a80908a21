use std::{
    collections::VecDeque,
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body::{Body, Frame};
use stockade_core::{
    clock::{Clock, Timestamp},
    context::RequestContext,
    guard::{Check, Guard, Head},
    identity::Authenticator,
    refusal::{Refusal, RefusalKind},
};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyRecord, MemoryKeyStore};
use stockade_testkit::{FakeClock, poll::until};

use super::{
    Access, AccessEnded, StreamBody, Streams, Watched,
    access::Ended,
    final_event::{EventFormat, EventPosition, StreamFormat},
};

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

/// Streams, and the context of a request whose key expires in a minute.
fn expiring(clock: &FakeClock) -> (Streams, Watched) {
    let key = GeneratedKey::new("sk", "a".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    let store = MemoryKeyStore::new();
    store
        .insert(record.expires(NOW + Duration::from_secs(60)))
        .unwrap();
    let auth = KeyAuth::new(&store).clock(clock.clone());
    let identity = Arc::new(auth.or_maybe(None));
    let bearer = format!("Bearer {}", key.expose());
    let request = Request::get("/").header("authorization", bearer);
    let mut head = Head::new(request.body(()).unwrap().into_parts().0);
    let Check::Pass(pass) = identity.check(&head) else {
        panic!("the key is valid");
    };
    identity.admit(pass, &mut head);
    let context = head.context().clone();
    let access = Access {
        identity,
        detector: None,
        ban_valid_keys: false,
    };
    let reserved = None;
    (
        Streams::start(access, true).unwrap(),
        Watched { context, reserved },
    )
}

fn poll(ended: &mut AccessEnded) -> Option<Ended> {
    match ended.poll_ended(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ended) => Some(ended),
        Poll::Pending => None,
    }
}

// A09
#[test]
fn an_expired_key_is_final_when_the_clock_is_set_back() {
    let clock = FakeClock::at(NOW);
    let (streams, watched) = expiring(&clock);
    let mut ended = AccessEnded::new(&streams, Some(watched.clone()));
    clock.advance(Duration::from_secs(59));
    streams.checks()();
    assert!(poll(&mut ended).is_none());

    clock.advance(Duration::from_secs(1));
    streams.checks()();
    until("the stream ends", || poll(&mut ended).is_some());
    clock.set(NOW);
    streams.checks()();
    // A stream of the same key that begins now is checked, and goes on.
    let mut other = AccessEnded::new(&streams, Some(watched));
    assert!(poll(&mut other).is_none());
    let again = poll(&mut ended).unwrap();
    assert_eq!(again.reason, "expired");
    assert_eq!(again.refusal.code(), "AUTHENTICATION_FAILED");
    assert_eq!(clock.now(), NOW);
}

#[test]
fn a_stream_is_open_until_it_is_dropped() {
    let (streams, watched) = expiring(&FakeClock::at(NOW));
    let open = [(); 3].map(|()| AccessEnded::new(&streams, Some(watched.clone())));
    assert_eq!(streams.count(), 3);
    drop(open);
    assert_eq!(streams.count(), 0);
    let _none = AccessEnded::new(&streams, None);
    assert_eq!(streams.count(), 0);
}

#[test]
fn the_thread_ends_with_the_last_stream() {
    let (streams, watched) = expiring(&FakeClock::at(NOW));
    let identity = Arc::downgrade(&streams.0.access().identity);
    let ended = AccessEnded::new(&streams, Some(watched));
    drop(streams);
    assert!(identity.upgrade().is_some());
    drop(ended);
    until("the thread has ended", || identity.upgrade().is_none());
}

/// Frames that are there, and then none for now.
struct Frames(VecDeque<&'static str>);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.0.pop_front() {
            Some(text) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(text))))),
            None => Poll::Pending,
        }
    }
}

fn events(frames: &[&'static str]) -> Response<Frames> {
    let body = Frames(frames.iter().copied().collect());
    let response = Response::builder().header(CONTENT_TYPE, "text/event-stream");
    response.body(body).unwrap()
}

/// What a stream sends from now on; `end` stands for its last event.
fn rest(body: &mut StreamBody<Frames>) -> Vec<String> {
    let mut sent = Vec::new();
    loop {
        let cx = &mut Context::from_waker(Waker::noop());
        match Pin::new(&mut *body).poll_frame(cx) {
            Poll::Pending => return sent,
            Poll::Ready(None) => break,
            Poll::Ready(Some(frame)) => {
                let data = frame.unwrap().into_data().unwrap();
                let text = String::from_utf8(data.to_vec()).unwrap();
                match text.split_once("data: {\"error\"") {
                    Some((before, _)) => sent.push(format!("{before}end")),
                    None => sent.push(text),
                }
            }
        }
    }
    assert!(body.is_end_stream());
    sent.push("ended".to_owned());
    sent
}

#[test]
fn an_event_that_has_begun_is_completed_if_its_rest_is_there() {
    let long: &'static str = Box::leak("x".repeat(70_000).into_boxed_str());
    for (first, then, expected) in [
        ("data: 1\n\n", &["data: 2\n\n"][..], &["end", "ended"][..]),
        (
            "data: {",
            &["1}", "\n\n", "data: 2\n\n"],
            &["1}", "\n\n", "end", "ended"],
        ),
        ("data: {", &["1}"], &["1}", "\n\nend", "ended"]),
        ("data: {", &[], &["\n\nend", "ended"]),
        // A producer that never ends its event.
        ("data: {", &[long, "}\n\n"], &[long, "\n\nend", "ended"]),
    ] {
        let (streams, watched) = expiring(&FakeClock::at(NOW));
        let context = watched.context.clone();
        let watched = Some((streams, watched, EventFormat::OpenAi));
        let mut body = StreamBody::wrap(events(&[first]), watched).into_body();
        assert_eq!(rest(&mut body), [first]);
        body.end_for_test(Ended {
            reason: "revoked",
            refusal: Refusal::new(RefusalKind::Unauthenticated, "the API key is not valid"),
        });
        body.inner_for_test().0.extend(then);
        assert_eq!(rest(&mut body), expected, "{first:?}");
        assert_eq!(context.denial().unwrap().guard, "streams");
    }
}

#[test]
fn knows_streams_by_their_heads() {
    let of = |content_type: &str, length: bool, status: u16| {
        let response = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, content_type);
        let response = match length {
            true => response.header("content-length", "10"),
            false => response,
        };
        let response = response.body(Frames(VecDeque::new())).unwrap();
        StreamFormat::of(&response, EventFormat::OpenAi)
    };
    for content_type in ["text/event-stream", "Text/Event-Stream;charset=utf-8"] {
        assert!(matches!(
            of(content_type, false, 200),
            Some(StreamFormat::Events(_))
        ));
    }
    for content_type in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
    ] {
        assert!(matches!(
            of(content_type, false, 200),
            Some(StreamFormat::Grpc)
        ));
    }
    for (content_type, length, status) in [
        ("application/json", false, 200),
        ("text/event", false, 200),
        ("", false, 200),
        ("text/event-stream", true, 200),
        ("text/event-stream", false, 500),
    ] {
        assert!(
            of(content_type, length, status).is_none(),
            "{content_type} {length}"
        );
    }
    let full = Response::builder().header(CONTENT_TYPE, "text/event-stream");
    let full = full
        .body(http_body_util::Full::new(Bytes::from("data: 1\n\n")))
        .unwrap();
    assert!(StreamFormat::of(&full, EventFormat::OpenAi).is_none());
}

#[test]
fn follows_events_over_any_split() {
    for (text, in_event) in [
        ("", false),
        ("data: 1", true),
        ("data: 1\n", true),
        ("data: 1\n\n", false),
        ("data: 1\r\n\r\n", false),
        ("data: 1\r\n\r", true),
        ("data: 1\n\ndata: 2\n", true),
        (": comment\n\n", false),
        ("\n\n", false),
        ("\n", true),
    ] {
        for step in 1..=text.len().max(1) {
            let mut position = EventPosition::default();
            for piece in text.as_bytes().chunks(step) {
                position.push(piece);
            }
            assert_eq!(position.is_in_event(), in_event, "{text:?} by {step}");
        }
    }
}

#[test]
fn the_context_of_a_request_is_needed() {
    assert!(Watched::of(&http::Extensions::new()).is_none());
    let mut extensions = http::Extensions::new();
    extensions.insert(RequestContext::new());
    assert!(Watched::of(&extensions).is_some());
}
