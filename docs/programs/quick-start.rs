//! A greeting behind the whole fence.

use std::net::SocketAddr;

use axum::{Router, routing::post};
use stockade::{Authenticated, Fence};
use tokio::net::TcpListener;

async fn hello(Authenticated(principal): Authenticated) -> String {
    format!("hello, {}\n", principal.id())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    let fence = Fence::from_file("stockade.toml").await?;
    let app = Router::new()
        .route("/v1/chat/completions", post(hello))
        .layer(fence.layer());

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    // Limits and bans apply to client addresses, so the fence needs the address of the peer.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await?;
    Ok(())
}
