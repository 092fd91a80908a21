//! Several layers around one router.

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo, http::Extensions, routing::get};
use stockade_core::{client::PeerAddr, context::ContextLayer};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimitLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(PeerAddr::from(*address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = FileKeyStore::open("keys.yaml")?;
    let by_address = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(600));
    let by_key = Limit::new("key", KeyExtractor::principal()).quota(Quota::per_minute(2));

    // The first layer of a `ServiceBuilder` is the outermost one.
    let layers = ServiceBuilder::new()
        // The client address, which all others use.
        .layer(ContextLayer::new().peer(peer))
        // Before the keys, so that guessing them is limited.
        .layer(RateLimitLayer::new(Limits::new([by_address])?))
        .layer(KeyAuthLayer::new(&keys))
        // Behind the keys, because it counts by key.
        .layer(RateLimitLayer::new(Limits::new([by_key])?));
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .layer(layers);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
