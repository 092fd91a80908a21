//! A limit by client address.

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo, http::Extensions, routing::get};
use stockade_core::{client::PeerAddr, context::ContextLayer};
use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimitLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(PeerAddr::from(*address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let by_address = Limit::new("ip", KeyExtractor::client_ip())
        .quota(Quota::per_minute(6).burst(2))
        .quota_named("daily", "10000/day".parse()?);
    let app = Router::new().route("/", get(async || "hello\n")).layer(
        ServiceBuilder::new()
            .layer(ContextLayer::new().peer(peer))
            .layer(RateLimitLayer::new(Limits::new([by_address])?)),
    );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
