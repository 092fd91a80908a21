//! The choice among several upstreams.

use std::num::NonZeroU32;

use stockade_server::upstream::UpstreamGroup;
use stockade_testkit::scripted_upstream::{Chat, ScriptedUpstream, Step};
use tokio::net::TcpListener;

use super::{MODEL, chat, exchange, settings};

#[tokio::test]
async fn shares_requests_by_weight() {
    let (heavy, light) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http1().await,
    );
    let mut settings = settings([heavy.url(), light.url()]);
    settings.upstreams[0].weight = NonZeroU32::new(3).unwrap();
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    for _ in 0..400 {
        exchange(&group).await.unwrap();
    }
    // Three quarters, and seven standard deviations.
    let share = heavy.requests().len();
    assert!((240..=360).contains(&share), "{share}");
    assert_eq!(share + light.requests().len(), 400);
}

#[tokio::test]
async fn avoids_the_busier_of_two() {
    let (busy, idle) = (
        ScriptedUpstream::http1().await,
        ScriptedUpstream::http1().await,
    );
    let group = UpstreamGroup::new(MODEL, settings([busy.url(), idle.url()])).unwrap();
    busy.always(Chat::new("a").stream().cut_after(1, Step::Stall));
    let occupied = loop {
        let response = group.send(chat()).await.unwrap();
        if &*response.upstream == busy.url() {
            break response;
        }
    };
    for _ in 0..20 {
        assert_eq!(&*group.send(chat()).await.unwrap().upstream, idle.url());
    }
    drop(occupied);
}

#[tokio::test]
async fn uses_a_fallback_only_while_the_first_is_unavailable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let url = format!("http://{address}/v1");
    let fallback = ScriptedUpstream::http1().await;
    let mut settings = settings([fallback.url(), &url]);
    settings.upstreams[0].priority = 7;
    settings.max_retries = 1;
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let response = group.send(chat()).await.unwrap();
    assert_eq!(
        (&*response.upstream, response.attempts),
        (fallback.url(), 2)
    );
    let first = ScriptedUpstream::http1_at(address).await;
    for _ in 0..10 {
        assert_eq!(&*group.send(chat()).await.unwrap().upstream, first.url());
    }
}
