//! When a request is sent again.

use std::{num::NonZeroU32, time::Duration};

use futures_util::future::join_all;
use stockade_server::upstream::{
    BreakerSettings, GroupSettings, UpstreamErrorKind as Kind, UpstreamGroup,
};
use stockade_testkit::scripted_upstream::{Answer, Chat, ScriptedUpstream, Step};
use tokio::{net::TcpListener, time::Instant};

use super::{MODEL, chat, exchange, read, settings};

/// Settings with two retries, and no circuit breaker.
fn retrying<'a>(urls: impl IntoIterator<Item = &'a str>) -> GroupSettings {
    GroupSettings {
        max_retries: 2,
        breaker: BreakerSettings {
            consecutive_failures: NonZeroU32::MAX,
            failure_percent: 101,
            ..BreakerSettings::default()
        },
        ..settings(urls)
    }
}

async fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

#[tokio::test]
async fn goes_to_another_upstream() {
    let other = ScriptedUpstream::http1().await;
    let failing = ScriptedUpstream::http1().await;
    let closed = closed_port().await;
    for status in [502, 503, 504] {
        failing.next(Answer::error(status));
    }
    failing.next(Answer::rate_limited("1000"));
    for url in [
        failing.url(),
        failing.url(),
        failing.url(),
        failing.url(),
        &closed,
    ] {
        let mut settings = retrying([url, other.url()]);
        settings.upstreams[1].priority = 1;
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        let response = group.send(chat()).await.unwrap();
        assert_eq!((&*response.upstream, response.attempts), (other.url(), 2));
        assert_eq!(response.status, 200);
    }
    assert_eq!(other.requests().len(), 5);
    assert_eq!(other.requests()[0].body, chat().body.bytes);
}

#[tokio::test]
async fn repeats_at_the_only_upstream_up_to_the_maximum() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let group = UpstreamGroup::new(MODEL, retrying([upstream.url()])).unwrap();
    let response = group.send(chat()).await.unwrap();
    assert_eq!((response.status.as_u16(), response.attempts), (503, 3));
    assert!(read(response).await.unwrap().starts_with(b"{\"error\""));
    assert_eq!(upstream.requests().len(), 3);
}

#[tokio::test]
async fn repeats_a_stream_that_was_refused_before_it_was_processed() {
    let upstream = ScriptedUpstream::http2().await;
    upstream.next(Answer::status(200).before_head(Step::Refuse));
    let mut settings = retrying([upstream.url()]);
    settings.upstreams[0].http2 = true;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let response = group.send(chat()).await.unwrap();
    assert_eq!((response.status.as_u16(), response.attempts), (200, 2));
    assert_eq!(upstream.connections(), 1);
}

#[tokio::test]
async fn never_repeats_other_failures() {
    let stream = || Chat::pieces(["a", "b"]).stream();
    for answer in [
        Answer::error(400),
        Answer::error(429),
        Answer::error(500),
        Answer::redirect("/"),
        Answer::stall_before_head(),
        Answer::reset_before_head(),
        stream().cut_after(1, Step::Reset),
        stream().cut_after(1, Step::Stall),
        Chat::new("Hello!").json().half(),
    ] {
        let upstream = ScriptedUpstream::http1().await;
        upstream.always(answer.clone());
        let settings = GroupSettings {
            first_byte_timeout: Duration::from_millis(700),
            idle_timeout: Duration::from_millis(700),
            ..retrying([upstream.url()])
        };
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        // The outcome of each is tested elsewhere.
        let _ = exchange(&group).await;
        assert_eq!(upstream.requests().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn waits_as_a_429_asks_inside_the_deadline() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.next(Answer::rate_limited("1"));
    let group = UpstreamGroup::new(MODEL, retrying([upstream.url()])).unwrap();
    let start = Instant::now();
    let response = group.send(chat()).await.unwrap();
    assert_eq!((response.status.as_u16(), response.attempts), (200, 2));
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn hands_on_a_429_beyond_the_deadline_and_pauses_the_upstream() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.next(Answer::rate_limited("1000"));
    let group = UpstreamGroup::new(MODEL, retrying([upstream.url()])).unwrap();
    let response = group.send(chat()).await.unwrap();
    assert_eq!((response.status.as_u16(), response.attempts), (429, 1));
    assert_eq!(response.headers["retry-after"], "1000");
    assert!(!group.status().is_available());
    let refused = group.send(chat()).await.unwrap_err();
    let Kind::Unavailable { retry_after } = refused.kind() else {
        panic!("{refused:?}");
    };
    // Bounded, whatever the upstream asks for.
    let expected = Duration::from_secs(55)..=Duration::from_secs(60);
    assert!(expected.contains(&retry_after), "{retry_after:?}");
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn stays_within_the_budget() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let mut settings = retrying([upstream.url()]);
    settings.upstreams[0].max_running = NonZeroU32::new(100).unwrap();
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let results = join_all((0..100).map(|_| group.send(chat()))).await;
    assert!(
        results
            .iter()
            .all(|result| result.as_ref().unwrap().status == 503)
    );
    let retries = upstream.requests().len() - 100;
    // A fifth, and one for each second of the ten that count.
    assert!((10..=30).contains(&retries), "{retries}");
}

#[tokio::test]
async fn stops_when_the_client_leaves() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::rate_limited("1"));
    let group = UpstreamGroup::new(MODEL, retrying([upstream.url()])).unwrap();
    let sending = tokio::time::timeout(Duration::from_millis(200), group.send(chat()));
    assert!(sending.await.is_err());
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(super::first(&group).in_flight, 0);
}
