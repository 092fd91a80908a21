//! Active health checks.

use std::{num::NonZeroU32, time::Duration};

use stockade_server::upstream::{
    ApiKey, GroupSettings, HealthCheckSettings, UpstreamErrorKind as Kind, UpstreamGroup,
};
use stockade_testkit::{
    poll::until_async,
    scripted_upstream::{Answer, ScriptedUpstream},
};

use super::{MODEL, exchange, first, settings};

fn checked(url: &str, path: &str) -> GroupSettings {
    GroupSettings {
        health_check: Some(HealthCheckSettings {
            interval: Duration::from_millis(20),
            timeout: Duration::from_secs(1),
            healthy_threshold: NonZeroU32::new(2).unwrap(),
            unhealthy_threshold: NonZeroU32::new(2).unwrap(),
            ..HealthCheckSettings::new(path)
        }),
        ..settings([url])
    }
}

#[tokio::test]
async fn takes_an_upstream_out_and_back_in() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.at_path("/health", Answer::status(200));
    let group = UpstreamGroup::new(MODEL, checked(upstream.url(), "/health")).unwrap();
    exchange(&group).await.unwrap();
    for failure in [
        Answer::error(500),
        Answer::stall_before_head(),
        Answer::close_before_head(),
    ] {
        upstream.at_path("/health", failure);
        until_async("the upstream to be unhealthy", async || {
            !first(&group).healthy
        })
        .await;
        assert!(!group.status().is_available());
        let refused = exchange(&group).await.unwrap_err();
        assert!(matches!(refused, Kind::Unavailable { .. }), "{refused:?}");
        upstream.at_path("/health", Answer::status(204));
        until_async("the upstream to be healthy", async || first(&group).healthy).await;
        exchange(&group).await.unwrap();
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn asks_below_the_base_url_with_the_key() {
    let upstream = ScriptedUpstream::http1().await;
    let mut settings = checked(upstream.url(), "models");
    settings.upstreams[0].api_key = Some(ApiKey::new("sk-internal").unwrap());
    let _group = UpstreamGroup::new(MODEL, settings).unwrap();
    until_async("a health check", async || !upstream.requests().is_empty()).await;
    let request = &upstream.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.uri.path()),
        ("GET", "/v1/models")
    );
    assert_eq!(request.headers["authorization"], "Bearer sk-internal");
}

#[tokio::test]
async fn stops_with_the_last_clone() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.at_path("/health", Answer::status(200));
    let group = UpstreamGroup::new(MODEL, checked(upstream.url(), "/health")).unwrap();
    let clone = group.clone();
    until_async("a health check", async || {
        upstream.requests_at("/health") > 0
    })
    .await;
    drop(group);
    let before = upstream.requests_at("/health");
    let more = async || upstream.requests_at("/health") > before + 2;
    until_async("more checks for the clone", more).await;
    drop(clone);
    let closed = async || upstream.open_connections() == 0;
    until_async("the connections to be closed", closed).await;
}

#[tokio::test]
async fn refuses_an_invalid_path() {
    let error = UpstreamGroup::new(MODEL, checked("http://127.0.0.1:1/v1", "/a b")).unwrap_err();
    assert!(error.to_string().contains("/a b"), "{error}");
}
