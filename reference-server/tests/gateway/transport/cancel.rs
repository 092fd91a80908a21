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

async fn assert_client_left(upstream: &ScriptedUpstream, left: std::time::Instant) {
    let what = "the upstream to notice that the client left";
    until_async(what, async || upstream.requests()[0].client_left.is_some()).await;
    let noticed = upstream.requests()[0].client_left.unwrap();
    let took = noticed.saturating_duration_since(left);
    assert!(took < PROMPTLY, "took {took:?}");
}

// R10
#[tokio::test]
async fn reaches_the_upstream_before_the_head() {
    for (upstream, settings) in upstreams().await {
        upstream.always(Answer::stall_before_head());
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        let sending = tokio::spawn({
            let group = group.clone();
            async move { group.send(chat()).await }
        });
        let received = async || !upstream.requests().is_empty();
        until_async("the request", received).await;
        assert_eq!(group.status().upstreams[0].in_flight, 1);
        sending.abort();
        assert_client_left(&upstream, std::time::Instant::now()).await;
        let free = async || group.status().upstreams[0].in_flight == 0;
        until_async("the slot to be free", free).await;
    }
}

// R10
#[tokio::test]
async fn reaches_the_upstream_in_the_middle_of_a_stream() {
    for (upstream, settings) in upstreams().await {
        upstream.always(Chat::pieces(["a", "b"]).stream().cut_after(2, Step::Stall));
        let group = UpstreamGroup::new(MODEL, settings).unwrap();
        let mut response = group.send(chat()).await.unwrap();
        let chunk = response.body.frame().await.unwrap().unwrap();
        assert!(chunk.into_data().unwrap().starts_with(b"data: {"));
        assert_eq!(group.status().upstreams[0].in_flight, 1);
        drop(response);
        assert_eq!(group.status().upstreams[0].in_flight, 0);
        assert_client_left(&upstream, std::time::Instant::now()).await;
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
    assert_client_left(&upstream, std::time::Instant::now()).await;
    assert_eq!(super::read(second).await.unwrap(), "data: b\n\nend");
    assert_eq!(upstream.connections(), 1);
}
