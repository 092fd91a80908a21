//! The client that does nothing wrong.

use std::{sync::LazyLock, time::Duration};

use reqwest::Client;
use serde::Serialize;
use tokio::{task::JoinSet, time};

use crate::server::Server;

/// Chats a second.
const RATE: u32 = 50;

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let builder = Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30));
    builder.build().expect("a client without TLS has no errors")
});

/// The times of chats, from when each was due: what waits for a connection is slow, too.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Latencies {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Chats without a 200.
    pub(crate) failed: usize,
}

/// Sends chats for this time.
pub(crate) async fn measure(server: &Server, length: Duration) -> Latencies {
    let mut ticks = time::interval(Duration::from_secs(1) / RATE);
    let mut chats = JoinSet::new();
    let end = time::Instant::now() + length;
    while time::Instant::now() < end {
        let due = ticks.tick().await;
        let request = CLIENT
            .post(format!("http://{}/v1/chat/completions", server.address))
            .bearer_auth(&server.good_key)
            .header("content-type", "application/json")
            .body(crate::wire::CHAT);
        chats.spawn(async move {
            let response = request.send().await?.error_for_status()?;
            response.bytes().await?;
            Ok::<_, reqwest::Error>(due.elapsed().as_secs_f64() * 1e3)
        });
    }
    let results = chats.join_all().await;
    let mut times: Vec<f64> = results
        .iter()
        .filter_map(|time| time.as_ref().ok())
        .copied()
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |percent: usize| {
        let last = times.len().checked_sub(1);
        last.map_or(f64::NAN, |last| times[last * percent / 100])
    };
    Latencies {
        p50_ms: at(50),
        p99_ms: at(99),
        failed: results.len() - times.len(),
    }
}
