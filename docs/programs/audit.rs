//! One record for each request, in a log that shows tampering.

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo, http::Extensions, routing::get};
use stockade_audit::{AuditLayer, AuditLog, ChainKey, FileSink, Journal, Overflow};
use stockade_core::{client::PeerAddr, context::ContextLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let ConnectInfo(address) = extensions.get::<ConnectInfo<SocketAddr>>()?;
    Some(PeerAddr::from(*address))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let secret = std::fs::read_to_string("audit.key")?;
    let key = ChainKey::new("1", secret.trim_end())?;
    let journal = Journal::builder(FileSink::open("app.log")?, Overflow::DropAndCount)
        .chain(key)
        .start()?;
    let log = AuditLog::new(journal);
    let app = Router::new().route("/", get(async || "hello\n")).layer(
        ServiceBuilder::new()
            .layer(ContextLayer::new().peer(peer))
            .layer(AuditLayer::new(log)),
    );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
