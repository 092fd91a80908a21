//! Bans of clients that guess keys.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo, http::Extensions, routing::get};
use stockade_abuse::{AbuseLayer, AbusePolicy, DenyList, Detector};
use stockade_core::{client::PeerAddr, context::ContextLayer};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(PeerAddr::from(*address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let policy = AbusePolicy::new()
        .threshold(3, Duration::from_secs(60))
        // Only to try it on one machine: local clients are exempt by default.
        .loopback_exempt(false);
    let detector = Detector::builder(policy)
        .store(Arc::new(DenyList::open("denylist.txt")?))
        .build();
    let keys = FileKeyStore::open("keys.yaml")?;
    let app = Router::new().route("/", get(async || "hello\n")).layer(
        ServiceBuilder::new()
            .layer(ContextLayer::new().peer(peer))
            .layer(AbuseLayer::new(detector))
            .layer(KeyAuthLayer::new(&keys)),
    );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
