//! Bounds on the requests of an upstream, and the queue before it.

use std::{num::NonZeroU32, time::Duration};

use futures_util::future::join_all;
use stockade_server::upstream::{GroupSettings, UpstreamErrorKind as Kind, UpstreamGroup};
use stockade_testkit::{
    poll::until_async,
    scripted_upstream::{Answer, Chat, ScriptedUpstream, Step},
};
use tokio::{task::JoinHandle, time::Instant};

use super::{MODEL, chat, chat_of, first, read, settings};

/// Settings with one slot and a queue.
fn one_slot(upstream: &ScriptedUpstream, max_queued: u32) -> GroupSettings {
    let mut settings = settings([upstream.url()]);
    settings.upstreams[0].max_running = NonZeroU32::MIN;
    settings.upstreams[0].max_queued = max_queued;
    settings
}

/// Sends a chat and reads the response in a task.
fn spawn(group: &UpstreamGroup, key: u64, text: &str) -> JoinHandle<Result<(), Kind>> {
    let (group, request) = (group.clone(), chat_of(key, text));
    tokio::spawn(async move {
        let response = group.send(request).await.map_err(|error| error.kind())?;
        read(response)
            .await
            .map(|_| ())
            .map_err(|error| error.kind())
    })
}

async fn until_waiting(group: &UpstreamGroup, count: usize) {
    let what = format!("{count} waiting requests");
    until_async(&what, async || first(group).waiting == count).await;
}

/// Occupies the only slot until the response is dropped.
async fn occupy(
    upstream: &ScriptedUpstream,
    group: &UpstreamGroup,
) -> stockade_server::upstream::UpstreamResponse {
    upstream.next(Chat::new("a").stream().cut_after(1, Step::Stall));
    group.send(chat()).await.unwrap()
}

#[tokio::test]
async fn bounds_concurrent_requests() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Chat::new("a").stream().paced(Duration::from_millis(2)));
    let mut settings = settings([upstream.url()]);
    settings.upstreams[0].max_running = NonZeroU32::new(3).unwrap();
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let tasks = (0..30).map(|key| spawn(&group, key, "chat"));
    for result in join_all(tasks.collect::<Vec<_>>()).await {
        result.unwrap().unwrap();
    }
    assert_eq!(
        (upstream.requests().len(), upstream.peak_requests()),
        (30, 3)
    );
    let status = first(&group);
    assert_eq!((status.in_flight, status.waiting), (0, 0));
}

#[tokio::test]
async fn delays_a_client_by_one_slot_however_many_requests_another_has() {
    let upstream = ScriptedUpstream::http1().await;
    let group = UpstreamGroup::new(MODEL, one_slot(&upstream, 100)).unwrap();
    let occupied = occupy(&upstream, &group).await;
    let mut tasks = Vec::new();
    for index in 0..60 {
        tasks.push(spawn(&group, 1, "busy"));
        until_waiting(&group, index + 1).await;
    }
    tasks.push(spawn(&group, 2, "single"));
    until_waiting(&group, 61).await;
    drop(occupied);
    for result in join_all(tasks).await {
        result.unwrap().unwrap();
    }
    let requests = upstream.requests();
    let single = requests.iter().position(|request| request.body == "single");
    // The first one occupied the slot.
    assert!(single.unwrap() <= 2, "{single:?}");
}

#[tokio::test]
async fn refuses_at_once_when_the_queue_is_full() {
    let upstream = ScriptedUpstream::http1().await;
    let group = UpstreamGroup::new(MODEL, one_slot(&upstream, 1)).unwrap();
    let occupied = occupy(&upstream, &group).await;
    let waiting = spawn(&group, 1, "waiting");
    until_waiting(&group, 1).await;
    let error = group.send(chat_of(1, "refused")).await.unwrap_err();
    let Kind::QueueFull { retry_after } = error.kind() else {
        panic!("{error:?}");
    };
    // R12
    assert!(retry_after >= Duration::from_secs(1));
    drop(occupied);
    waiting.await.unwrap().unwrap();
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn keeps_a_place_for_a_client_with_fewer_requests() {
    let upstream = ScriptedUpstream::http1().await;
    let group = UpstreamGroup::new(MODEL, one_slot(&upstream, 2)).unwrap();
    let occupied = occupy(&upstream, &group).await;
    let older = spawn(&group, 1, "older");
    until_waiting(&group, 1).await;
    let newer = spawn(&group, 1, "newer");
    until_waiting(&group, 2).await;
    let other = spawn(&group, 2, "other");
    let displaced = newer.await.unwrap().unwrap_err();
    assert!(matches!(displaced, Kind::QueueFull { .. }), "{displaced:?}");
    drop(occupied);
    older.await.unwrap().unwrap();
    other.await.unwrap().unwrap();
}

#[tokio::test]
async fn ends_the_wait_after_its_maximum_or_at_the_deadline() {
    let upstream = ScriptedUpstream::http1().await;
    let mut settings = one_slot(&upstream, 9);
    settings.upstreams[0].queue_wait = Duration::from_millis(100);
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let _occupied = occupy(&upstream, &group).await;
    let error = group.send(chat()).await.unwrap_err();
    assert!(
        matches!(error.kind(), Kind::QueueTimeout { .. }),
        "{error:?}"
    );
    let mut request = chat();
    request.deadline = Instant::now() + Duration::from_millis(50);
    let error = group.send(request).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Deadline);
    assert_eq!(first(&group).waiting, 0);
}

#[tokio::test]
async fn frees_the_place_of_a_client_that_leaves() {
    let upstream = ScriptedUpstream::http1().await;
    let group = UpstreamGroup::new(MODEL, one_slot(&upstream, 1)).unwrap();
    let occupied = occupy(&upstream, &group).await;
    let leaving = spawn(&group, 1, "leaving");
    until_waiting(&group, 1).await;
    leaving.abort();
    until_waiting(&group, 0).await;
    let staying = spawn(&group, 1, "staying");
    until_waiting(&group, 1).await;
    drop(occupied);
    staying.await.unwrap().unwrap();
    let bodies: Vec<_> = upstream
        .requests()
        .into_iter()
        .map(|request| request.body)
        .collect();
    assert_eq!(bodies[1..], ["staying"]);
}

#[tokio::test]
async fn frees_the_slot_with_the_last_chunk() {
    let upstream = ScriptedUpstream::http1().await;
    let group = UpstreamGroup::new(MODEL, one_slot(&upstream, 0)).unwrap();
    for answer in [Chat::new("a").json(), Answer::status(204)] {
        upstream.next(answer);
        let mut response = group.send(chat()).await.unwrap();
        // A caller that knows the length does not ask for the end.
        while !http_body::Body::is_end_stream(&response.body) {
            http_body_util::BodyExt::frame(&mut response.body).await;
        }
        assert_eq!(first(&group).in_flight, 0);
    }
}

#[tokio::test]
async fn overflows_to_a_fallback() {
    let (upstream, fallback) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http1().await,
    );
    let mut settings = one_slot(&upstream, 0);
    settings
        .upstreams
        .extend(super::settings([fallback.url()]).upstreams);
    settings.upstreams[1].priority = 1;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let _occupied = occupy(&upstream, &group).await;
    let response = group.send(chat()).await.unwrap();
    assert_eq!(&*response.upstream, fallback.url());
}

#[tokio::test]
async fn waits_for_the_end_of_a_short_pause() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.next(Answer::rate_limited("1"));
    let group = UpstreamGroup::new(MODEL, one_slot(&upstream, 9)).unwrap();
    let start = Instant::now();
    let limited = group.send(chat()).await.unwrap();
    assert_eq!(limited.status, 429);
    drop(limited);
    assert!(group.status().is_available());
    let waiting = [1, 2, 3].map(|key| spawn(&group, key, "waiting"));
    until_waiting(&group, 3).await;
    assert_eq!(upstream.requests().len(), 1);
    for result in join_all(waiting).await {
        result.unwrap().unwrap();
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(upstream.requests().len(), 4);
    let status = first(&group);
    assert_eq!((status.in_flight, status.waiting), (0, 0));
}

#[tokio::test]
async fn refuses_at_once_if_a_pause_is_longer_than_the_wait() {
    for (queue_wait, deadline) in [(3, 60), (60, 3)] {
        let upstream = ScriptedUpstream::http1().await;
        upstream.next(Answer::rate_limited("7"));
        let mut settings = one_slot(&upstream, 9);
        settings.upstreams[0].queue_wait = Duration::from_secs(queue_wait);
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        drop(group.send(chat()).await.unwrap());
        let mut request = chat();
        request.deadline = Instant::now() + Duration::from_secs(deadline);
        let refused = group.send(request).await.unwrap_err();
        let Kind::Unavailable { retry_after } = refused.kind() else {
            panic!("{refused:?}");
        };
        let expected = Duration::from_secs(3)..=Duration::from_secs(7);
        assert!(expected.contains(&retry_after), "{retry_after:?}");
    }
}
