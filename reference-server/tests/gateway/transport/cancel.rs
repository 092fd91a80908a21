//! A client that leaves ends the exchange at the upstream.

use std::time::Duration;

use http_body_util::BodyExt;
use stockade_server::upstream::{GroupSettings, UpstreamGroup};
use stockade_testkit::{
    poll::until_async,
    scripted_upstream::{Answer, Chat, ScriptedUpstream, Step},
};

use super::{MODEL, chat, settings};

/// The longest time from the departure to its arrival at the upstream.
const PROMPTLY: Duration = Duration::from_millis(100);

/// Both protocols.
async fn upstreams() -> [(ScriptedUpstream, GroupSettings); 2] {
    let (one, two) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http2().await,
    );
    let (first, mut second) = (settings([one.url()]), settings([two.url()]));
    second.upstreams[0].http2 = true;
    [(one, first), (two, second)]
}

/// How long the upstream takes to notice that the client of its latest request left just now.
async fn until_noticed(upstream: &ScriptedUpstream) -> Duration {
    let left = std::time::Instant::now();
    let noticed = || upstream.requests().last().unwrap().client_left;
    let what = "the upstream to notice that the client left";
    until_async(what, async || noticed().is_some()).await;
    noticed().unwrap().saturating_duration_since(left)
}

/// The fastest of several attempts counts, because the machine may be busy.
fn assert_prompt(times: &[Duration]) {
    let fastest = times.iter().min().unwrap();
    assert!(*fastest < PROMPTLY, "{times:?}");
}

const ATTEMPTS: usize = 3;

// R10
#[tokio::test]
async fn reaches_the_upstream_before_the_head() {
    for (upstream, settings) in upstreams().await {
        upstream.always(Answer::stall_before_head());
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        let mut times = Vec::new();
        for attempt in 1..=ATTEMPTS {
            let sending = tokio::spawn({
                let group = group.clone();
                async move { group.send(chat()).await }
            });
            let received = async || upstream.requests().len() == attempt;
            until_async("the request", received).await;
            assert_eq!(group.status().upstreams[0].in_flight, 1);
            sending.abort();
            times.push(until_noticed(&upstream).await);
            let free = async || group.status().upstreams[0].in_flight == 0;
            until_async("the slot to be free", free).await;
        }
        assert_prompt(&times);
    }
}

// R10
#[tokio::test]
async fn reaches_the_upstream_in_the_middle_of_a_stream() {
    for (upstream, settings) in upstreams().await {
        upstream.always(Chat::pieces(["a", "b"]).stream().cut_after(2, Step::Stall));
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        let mut times = Vec::new();
        for _ in 0..ATTEMPTS {
            let mut response = group.send(chat()).await.unwrap();
            let chunk = response.body.frame().await.unwrap().unwrap();
            assert!(chunk.into_data().unwrap().starts_with(b"data: {"));
            assert_eq!(group.status().upstreams[0].in_flight, 1);
            drop(response);
            assert_eq!(group.status().upstreams[0].in_flight, 0);
            times.push(until_noticed(&upstream).await);
        }
        assert_prompt(&times);
    }
}

#[tokio::test]
async fn of_one_stream_leaves_the_others_of_a_connection_alone() {
    let [_, (upstream, settings)] = upstreams().await;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    upstream.next(Answer::events(["data: a\n\n"]).step(Step::Stall));
    let pause = Step::Wait(Duration::from_millis(300));
    upstream.next(
        Answer::events(["data: b\n\n"])
            .step(pause)
            .step(Step::Data("end".into())),
    );
    let first = group.send(chat()).await.unwrap();
    let second = group.send(chat()).await.unwrap();
    drop(first);
    let left = async || upstream.requests()[0].client_left.is_some();
    until_async("the upstream to notice that the client left", left).await;
    assert_eq!(super::read(second).await.unwrap(), "data: b\n\nend");
    assert_eq!(upstream.connections(), 1);
}
