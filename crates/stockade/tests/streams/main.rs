//! Streams that end when the access of their client does.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod budget;
mod formats;
mod http1;
mod site;
mod tokens;

use std::time::Duration;

use serde_json::Value;
use site::Site;
use stockade::core::clock::{Clock, SystemClock};
use stockade_key_auth::KeyRecord;
use stockade_testkit::poll::until_async;

const UNAUTHENTICATED: &str = r#""code":"AUTHENTICATION_FAILED""#;

// A08
#[tokio::test]
async fn a_revoked_key_ends_its_streams_and_no_others() {
    let site = Site::new("").await;
    let revoked = site.stream("GET", "a", "text/event-stream").await;
    let other = site.stream("GET", "b", "text/event-stream").await;
    revoked.send("data: 1\n\n");
    other.send("data: 1\n\n");
    revoked.until_received("data: 1").await;

    site.write_keys(&["b"]);
    let text = revoked.until_ended().await;
    assert!(text.starts_with("data: 1\n\ndata: {\"error\":"), "{text}");
    assert!(
        text.contains(UNAUTHENTICATED) && text.ends_with("\n\n"),
        "{text}"
    );
    // The work has been cancelled.
    assert!(revoked.is_cancelled());

    other.send("data: 2\n\n");
    other.until_received("data: 2").await;
    assert!(!other.is_cancelled());

    let record = site.record_of("a").await;
    assert_eq!(record["outcome"], "failed");
    assert_eq!(record["level"], "warn");
    assert_eq!(record["status"], 200);
    assert_eq!(record["guard"], "streams");
    assert_eq!(record["code"], "AUTHENTICATION_FAILED");
    assert_eq!(record["reason"], "unknown");
    assert_eq!(record["bytes_out"], Value::from(text.len()));
}

#[tokio::test]
async fn a_stream_ends_when_its_key_expires() {
    let site = Site::new("").await;
    let soon = SystemClock::new().now() + Duration::from_secs(4);
    let expires = |record: KeyRecord| record.expires(soon);
    site.add("short", expires).await;
    let stream = site.stream("GET", "short", "text/event-stream").await;
    stream.send("data: 1\n\n");
    let text = stream.until_ended().await;
    assert!(text.contains(UNAUTHENTICATED), "{text}");
    assert!(SystemClock::new().now() >= soon);
    assert_eq!(site.record_of("short").await["reason"], "expired");
}

#[tokio::test]
async fn other_responses_are_left_alone() {
    let site = Site::new("").await;
    // An answer that is produced slowly is no stream.
    let slow = site.stream("POST", "a", "application/json").await;
    let stream = site.stream("GET", "b", "text/event-stream").await;
    site.write_keys(&[]);
    stream.until_ended().await;
    assert!(!slow.is_cancelled());
    slow.send("{}");
    assert_eq!(slow.finish().await, "{}");
}

#[tokio::test]
async fn a_reload_switches_it_off_and_on() {
    let site = Site::new("[streams]\ncut = false\n").await;
    let before = site.stream("GET", "a", "text/event-stream").await;
    site.fence.reload(&site.config("")).unwrap();
    let after = site.stream("GET", "a", "text/event-stream").await;
    site.write_keys(&["b"]);
    after.until_ended().await;
    before.send("data: 1\n\n");
    assert_eq!(before.finish().await, "data: 1\n\n");
    assert!(site.fence.to_string().contains("continue when"));
}

// D10: the opposite of an unban.
#[tokio::test]
async fn a_ban_ends_the_streams_that_it_applies_to() {
    for (settings, anonymous, banned, ends) in [
        ("", false, "key:a", true),
        ("", false, "key:b", false),
        // The ban of an address does not apply to valid keys, unless that is set.
        ("", false, "192.0.2.1", false),
        ("[abuse]\nban_valid_keys = true\n", false, "192.0.2.1", true),
        ("", true, "192.0.2.1", true),
        ("[abuse]\nreport_only = true\n", true, "192.0.2.1", false),
    ] {
        let site = Site::new(settings).await;
        let key = if anonymous { "" } else { "a" };
        let stream = site.stream("GET", key, "text/event-stream").await;
        // It ends after the ban was checked, since its key is revoked later.
        let control = site.stream("GET", "b", "text/event-stream").await;
        let detector = site.fence.detector().unwrap();
        detector.ban(banned.parse().unwrap(), None, "by hand");
        if ends {
            let text = stream.until_ended().await;
            assert!(text.contains(r#""code":"BANNED""#), "{banned}: {text}");
            continue;
        }
        site.write_keys(&["a"]);
        control.until_ended().await;
        assert!(!stream.is_cancelled(), "{settings}{banned}");
        stream.send("data: 1\n\n");
        assert_eq!(stream.finish().await, "data: 1\n\n");
    }
}

#[tokio::test]
async fn a_revoked_key_is_no_offence() {
    let site = Site::new("").await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(site.stream("GET", "a", "text/event-stream").await);
    }
    site.write_keys(&["b"]);
    for stream in streams {
        stream.until_ended().await;
    }
    assert!(site.fence.detector().unwrap().bans().is_empty());
    let stats = site.fence.detector().unwrap().stats();
    assert_eq!(stats.tracked_entities, 0);
}

#[tokio::test]
async fn a_thousand_streams_end_together_and_are_counted() {
    let site = Site::new("").await;
    let mut streams = Vec::new();
    for number in 0..1_000 {
        let key = if number % 2 == 0 { "a" } else { "b" };
        streams.push((key, site.stream("GET", key, "text/event-stream").await));
    }
    until_async("all streams are open", async || {
        site.metrics().contains("stockade_open_streams 1000\n")
    })
    .await;
    site.write_keys(&["b"]);
    for (key, stream) in &streams {
        if *key == "a" {
            stream.until_ended().await;
        }
    }
    let counted = r#"stockade_streams_cut_total{reason="unknown"} 500"#;
    assert!(site.metrics().contains(counted), "{}", site.metrics());
    let metrics = site.metrics();
    for line in [
        "stockade_open_streams 500\n",
        r#"stockade_refused_total{guard="streams",code="AUTHENTICATION_FAILED"} 500"#,
        r#"stockade_auth_allowed_total{reason="credential"} 500"#,
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    assert!(
        streams
            .iter()
            .all(|(key, stream)| *key == "a" || !stream.is_cancelled())
    );
}
