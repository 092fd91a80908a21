//! The circuit breaker of an upstream.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
    time::Duration,
};

use stockade_server::upstream::{
    ApiKey, BreakerSettings, BreakerState, GroupSettings, UpstreamErrorKind as Kind, UpstreamGroup,
};
use stockade_testkit::{
    poll::until_async,
    scripted_upstream::{Answer, Chat, ScriptedUpstream, Step},
};
use tracing::subscriber::NoSubscriber;

use super::{MODEL, chat, exchange, first, settings};

/// Opens after three failures for a time that tests can wait for.
fn sensitive(url: &str) -> GroupSettings {
    GroupSettings {
        breaker: BreakerSettings {
            consecutive_failures: NonZeroU32::new(3).unwrap(),
            open_for: Duration::from_secs(1),
            ..BreakerSettings::default()
        },
        first_byte_timeout: Duration::from_millis(700),
        idle_timeout: Duration::from_millis(700),
        ..settings([url])
    }
}

async fn until_available(group: &UpstreamGroup) {
    let available = async || group.status().is_available();
    until_async("the end of the open state", available).await;
}

#[tokio::test]
async fn opens_and_closes_after_a_trial() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let group = UpstreamGroup::new(MODEL, sensitive(upstream.url())).unwrap();
    for _ in 0..3 {
        assert_eq!(first(&group).breaker, BreakerState::Closed);
        exchange(&group).await.unwrap();
    }
    let status = first(&group);
    assert_eq!(
        (status.breaker, status.available),
        (BreakerState::Open, false)
    );
    assert_eq!(
        status.last_error.as_deref(),
        Some("the upstream answered 503 Service Unavailable")
    );
    let refused = exchange(&group).await.unwrap_err();
    let Kind::Unavailable { retry_after } = refused else {
        panic!("{refused:?}");
    };
    // R12
    assert!(retry_after >= Duration::from_secs(1));
    assert_eq!(upstream.requests().len(), 3);

    until_available(&group).await;
    exchange(&group).await.unwrap();
    assert_eq!(
        first(&group).breaker,
        BreakerState::Open,
        "the trial has failed"
    );
    until_available(&group).await;
    upstream.always(Chat::new("Hello!").json());
    exchange(&group).await.unwrap();
    assert_eq!(first(&group).breaker, BreakerState::Closed);
}

#[tokio::test]
async fn sends_one_trial_only() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let group = UpstreamGroup::new(MODEL, sensitive(upstream.url())).unwrap();
    for _ in 0..3 {
        exchange(&group).await.unwrap();
    }
    until_available(&group).await;
    upstream.next(
        Chat::new("a")
            .stream()
            .before_head(Step::Wait(Duration::from_millis(50))),
    );
    let results = futures_util::future::join_all((0..20).map(|_| exchange(&group))).await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn closes_with_the_head_of_a_trial_that_streams_on() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let group = UpstreamGroup::new(MODEL, sensitive(upstream.url())).unwrap();
    for _ in 0..3 {
        exchange(&group).await.unwrap();
    }
    until_available(&group).await;
    upstream.next(Chat::new("a").stream().cut_after(1, Step::Stall));
    let trial = group.send(chat()).await.unwrap();
    assert_eq!(first(&group).breaker, BreakerState::Closed);
    drop(trial);
    assert_eq!(first(&group).breaker, BreakerState::Closed);
}

#[tokio::test]
async fn allows_another_trial_when_the_client_of_one_leaves() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let group = UpstreamGroup::new(MODEL, sensitive(upstream.url())).unwrap();
    for _ in 0..3 {
        exchange(&group).await.unwrap();
    }
    until_available(&group).await;
    upstream.next(Answer::stall_before_head());
    let trial = tokio::spawn({
        let group = group.clone();
        async move { exchange(&group).await }
    });
    until_async("the trial", async || upstream.requests().len() == 4).await;
    assert_eq!(first(&group).breaker, BreakerState::HalfOpen);
    trial.abort();
    until_available(&group).await;
    upstream.always(Chat::new("Hello!").json());
    exchange(&group).await.unwrap();
    assert_eq!(first(&group).breaker, BreakerState::Closed);
}

#[tokio::test]
async fn counts_faults_of_the_upstream_and_not_of_requests() {
    let stream = || Chat::pieces(["a", "b"]).stream();
    for (answer, state) in [
        (Answer::error(502), BreakerState::Open),
        (Answer::error(504), BreakerState::Open),
        (Answer::stall_before_head(), BreakerState::Open),
        (Answer::reset_before_head(), BreakerState::Open),
        (stream().cut_after(1, Step::Reset), BreakerState::Open),
        (stream().cut_after(1, Step::Stall), BreakerState::Open),
        (Answer::error(400), BreakerState::Closed),
        (Answer::error(429), BreakerState::Closed),
        (Answer::error(500), BreakerState::Closed),
        (stream(), BreakerState::Closed),
        (Answer::redirect("/"), BreakerState::Closed),
    ] {
        let upstream = ScriptedUpstream::http1().await;
        upstream.always(answer.clone());
        let group = UpstreamGroup::new(MODEL, sensitive(upstream.url())).unwrap();
        for _ in 0..3 {
            // The outcome of each is tested elsewhere.
            let _ = exchange(&group).await;
        }
        assert_eq!(first(&group).breaker, state, "{answer:?}");
    }
}

#[tokio::test]
async fn sends_waiting_requests_to_another_upstream() {
    let (upstream, other) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http1().await,
    );
    let mut settings = sensitive(upstream.url());
    settings.breaker.consecutive_failures = NonZeroU32::MIN;
    settings.first_byte_timeout = Duration::from_secs(20);
    settings.upstreams[0].max_running = NonZeroU32::MIN;
    settings
        .upstreams
        .extend(super::settings([other.url()]).upstreams);
    settings.upstreams[1].priority = 1;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let wait = Step::Wait(Duration::from_millis(300));
    upstream.next(Answer::error(503).before_head(wait));
    let failing = group.send(chat());
    let waiting = async {
        until_async("the slot", async || first(&group).in_flight == 1).await;
        group.send(chat()).await
    };
    let (failed, moved) = tokio::join!(failing, waiting);
    assert_eq!(failed.unwrap().status, 503);
    assert_eq!(&*moved.unwrap().upstream, other.url());
}

#[tokio::test]
async fn logs_each_change_once_and_no_key() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    // While there is one dispatcher only, another thread that meets an event first, and has none,
    // decides for all threads that it is not wanted.
    let _other = tracing::Dispatch::new(NoSubscriber::new());
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::error(503));
    let mut settings = sensitive(upstream.url());
    settings.upstreams[0].api_key = Some(ApiKey::new("sk-internal").unwrap());
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    for _ in 0..20 {
        // The first three fail, the others are refused.
        let _ = exchange(&group).await;
    }
    until_available(&group).await;
    upstream.always(Chat::new("Hello!").json());
    for _ in 0..20 {
        exchange(&group).await.unwrap();
    }
    let text = log.text();
    assert!(!text.contains("sk-internal"), "{text}");
    let changes = text
        .lines()
        .filter(|line| line.contains("stockade_server::upstream"));
    let changes: Vec<_> = changes.collect();
    let expected = [
        ("WARN", "circuit breaker open", "503 Service Unavailable"),
        ("INFO", "circuit breaker half-open", ""),
        ("INFO", "circuit breaker closed", ""),
    ];
    assert_eq!(changes.len(), expected.len(), "{changes:#?}");
    for (line, (level, message, error)) in changes.into_iter().zip(expected) {
        let what = [level, message, error, "model=small", upstream.url()];
        assert!(what.iter().all(|part| line.contains(part)), "{line}");
    }
}

/// A log in memory.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
