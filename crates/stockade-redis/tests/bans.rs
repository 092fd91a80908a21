//! Tests of bans shared through a real Redis.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{sync::Arc, time::Duration};

use stockade_abuse::{AbuseEvent, AbusePolicy, Detector, Offender};
use stockade_redis::{Redis, RedisBans};
use stockade_testkit::poll::until_async;
use support::{Server, begin, connect};

/// The detector of one replica.
fn replica(redis: &Redis) -> Detector {
    Detector::builder(AbusePolicy::new())
        .store(Arc::new(RedisBans::new(redis)))
        .build()
}

fn offender() -> Offender {
    "192.0.2.7".parse().unwrap()
}

// D10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_and_unbans_hold_everywhere_within_a_second() {
    let server = Server::start();
    let (one, other) = (connect(&server).await, connect(&server).await);
    let (one, other) = (replica(&one), replica(&other));
    for length in [Some(Duration::from_secs(600)), None] {
        one.ban(offender(), length, "by hand");
        let took = until_async("banned", async || other.find_ban(&offender()).is_some()).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
        let ban = other.find_ban(&offender()).unwrap();
        assert_eq!(ban, one.find_ban(&offender()).unwrap());

        assert!(other.unban(&offender()));
        let took = until_async("unbanned", async || one.find_ban(&offender()).is_none()).await;
        assert!(took < Duration::from_secs(1), "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn late_processes_read_all_bans() {
    let server = Server::start();
    let redis = connect(&server).await;
    let one = replica(&redis);
    for index in 0..1_500 {
        let key = format!("key:offender-{index}").parse().unwrap();
        one.ban(key, Some(Duration::from_secs(600)), "5 errors in 30s");
    }
    let in_redis = || server.run::<usize>(&["HLEN", "stockade:{default}:bans"]);
    until_async("written", async || in_redis() == 1_501).await;
    let late = replica(&redis);
    until_async("read", async || late.bans().len() == 1_500).await;
}

// R13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_hold_without_redis_and_are_written_later() {
    let mut server = Server::absent();
    let one = replica(&begin(&server.url()));
    let other = replica(&begin(&server.url()));
    one.ban(offender(), None, "by hand");
    assert!(one.find_ban(&offender()).is_some());
    server.restart();
    until_async("banned everywhere", async || {
        other.find_ban(&offender()).is_some()
    })
    .await;
    assert!(one.find_ban(&offender()).is_some());
}

// R13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bans_hold_while_redis_hangs_and_are_written_later() {
    let server = Server::start();
    let redis = connect(&server).await;
    let (said, heard) = std::sync::mpsc::channel();
    let one = Detector::builder(AbusePolicy::new())
        .store(Arc::new(RedisBans::new(&redis)))
        .on_event(move |event| drop(said.send(event.clone())))
        .build();
    let other = replica(&connect(&server).await);
    one.ban(offender(), None, "by hand");
    until_async("banned", async || other.find_ban(&offender()).is_some()).await;

    server.hold();
    let next: Offender = "192.0.2.8".parse().unwrap();
    one.ban(next.clone(), None, "by hand");
    assert!(one.find_ban(&next).is_some() && other.find_ban(&offender()).is_some());
    let sees = async |wanted: fn(&AbuseEvent) -> bool| {
        until_async("an event", async || {
            heard.try_iter().any(|event| wanted(&event))
        })
        .await;
    };
    sees(|event| matches!(event, AbuseEvent::ListFailed { .. })).await;
    assert!(one.find_ban(&next).is_some() && other.find_ban(&next).is_none());

    server.go_on();
    sees(|event| matches!(event, AbuseEvent::ListRecovered { .. })).await;
    until_async("banned everywhere", async || {
        other.find_ban(&next).is_some()
    })
    .await;
}

// R13
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_data_lifts_no_ban() {
    let mut server = Server::start();
    let redis = connect(&server).await;
    let (said, heard) = std::sync::mpsc::channel();
    let one = Detector::builder(AbusePolicy::new())
        .store(Arc::new(RedisBans::new(&redis)))
        .on_event(move |event| {
            if let AbuseEvent::ListFailed { error } = event {
                let _ = said.send(error.to_string());
            }
        })
        .build();
    let other = replica(&redis);
    one.ban(offender(), None, "by hand");
    until_async("banned", async || other.find_ban(&offender()).is_some()).await;

    server.run::<()>(&["FLUSHALL"]);
    let in_redis = || server.run::<usize>(&["EXISTS", "stockade:{default}:bans:log"]);
    until_async("started again", async || in_redis() == 1).await;
    server.kill();
    server.restart();
    redis.connected().await;
    let next: Offender = "192.0.2.8".parse().unwrap();
    other.ban(next.clone(), None, "by hand");
    until_async("works again", async || one.find_ban(&next).is_some()).await;
    assert!(one.find_ban(&offender()).is_some() && other.find_ban(&offender()).is_some());
    let heard: Vec<_> = heard.try_iter().collect();
    assert!(
        heard
            .iter()
            .any(|error| error.contains("has lost its bans")),
        "{heard:?}"
    );

    // Lifted bans are still propagated.
    assert!(one.unban(&offender()));
    until_async("unbanned", async || other.find_ban(&offender()).is_none()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_entries_are_counted_and_ignored() {
    let server = Server::start();
    let key = "stockade:{default}:bans";
    server.run::<()>(&[
        "HSET",
        key,
        "0.0.0.0/0",
        "1 - everybody",
        "192.0.2.9",
        "nonsense",
    ]);
    let (said, heard) = std::sync::mpsc::channel();
    let redis = connect(&server).await;
    let one = Detector::builder(AbusePolicy::new())
        .store(Arc::new(RedisBans::new(&redis)))
        .on_event(move |event| {
            if let AbuseEvent::ListLoaded {
                bans,
                skipped_lines,
            } = event
            {
                let _ = said.send((*bans, *skipped_lines));
            }
        })
        .build();
    let taken = tokio::task::spawn_blocking(move || heard.recv_timeout(Duration::from_secs(10)));
    assert_eq!(taken.await.unwrap(), Ok((0, 2)));
    assert_eq!(one.bans().len(), 0);
}
