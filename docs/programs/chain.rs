//! The guards of several layers as one service.

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo, http::Extensions, routing::get};
use stockade_core::{client::PeerAddr, context::ContextGuard, guard::GuardStack};
use stockade_key_auth::{FileKeyStore, KeyAuth};
use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, RateLimit};
use tokio::net::TcpListener;

fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(PeerAddr::from(*address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = FileKeyStore::open("keys.yaml")?;
    let by_address = Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(600));
    let by_key = Limit::new("key", KeyExtractor::principal()).quota(Quota::per_minute(2));

    let guards = ContextGuard::new()
        .peer(peer)
        .then(RateLimit::new(Limits::new([by_address])?))
        .then(KeyAuth::new(&keys))
        .then(RateLimit::new(Limits::new([by_key])?));
    let app = Router::new()
        .route("/", get(async || "hello\n"))
        .layer(guards.into_layer());

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
