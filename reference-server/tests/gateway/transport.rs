//! The transport to upstreams.

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http_body_util::BodyExt;
use stockade_server::upstream::{
    GroupSettings, RequestBody, Share, UpstreamError, UpstreamErrorKind, UpstreamGroup,
    UpstreamRequest, UpstreamResponse, UpstreamSettings, UpstreamStatus,
};
use tokio::time::Instant;

mod balance;
mod breaker;
mod cancel;
mod faults;
mod health;
mod metrics;
mod protocols;
mod queue;
mod requests;
mod retries;

const MODEL: &str = "small";

/// Settings of upstreams at these URLs, without retries.
fn settings<'a>(urls: impl IntoIterator<Item = &'a str>) -> GroupSettings {
    let upstreams = urls
        .into_iter()
        .map(|url| UpstreamSettings::new(url.parse().unwrap()));
    GroupSettings {
        max_retries: 0,
        ..GroupSettings::new(upstreams.collect())
    }
}

/// A group of one upstream, without retries.
fn group(url: &str) -> UpstreamGroup {
    UpstreamGroup::new(MODEL, settings([url])).unwrap()
}

/// A request for a streamed chat.
fn chat() -> UpstreamRequest {
    UpstreamRequest {
        method: Method::POST,
        path: "/chat/completions".into(),
        at_root: false,
        headers: http::HeaderMap::new(),
        body: RequestBody {
            bytes: Bytes::from_static(br#"{"model":"small","messages":[]}"#),
            model: Some(9..16),
            patch: None,
        },
        share: Share::new(0),
        streaming: true,
        deadline: Instant::now() + Duration::from_secs(30),
    }
}

/// A chat with this text in its body, for one of several clients.
fn chat_of(client: u64, text: &str) -> UpstreamRequest {
    UpstreamRequest {
        body: RequestBody {
            bytes: Bytes::from(text.to_owned()),
            ..RequestBody::default()
        },
        share: Share::new(client),
        ..chat()
    }
}

/// The state of the first upstream.
fn first(group: &UpstreamGroup) -> UpstreamStatus {
    group.status().upstreams.swap_remove(0)
}

/// Reads the whole body.
async fn read(response: UpstreamResponse) -> Result<Bytes, UpstreamError> {
    response.body.collect().await.map(|body| body.to_bytes())
}

/// Sends a chat and reads the whole response.
async fn exchange(group: &UpstreamGroup) -> Result<Bytes, UpstreamErrorKind> {
    let response = group.send(chat()).await.map_err(|error| error.kind())?;
    read(response).await.map_err(|error| error.kind())
}
