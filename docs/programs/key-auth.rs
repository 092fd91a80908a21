//! API keys from a file.

use axum::{Extension, Router, routing::get};
use stockade_core::{context::RequestContext, identity::Principal};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use tokio::net::TcpListener;

async fn hello(Extension(context): Extension<RequestContext>) -> String {
    let id = context.principal().map_or("anonymous", Principal::id);
    format!("hello, {id}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Watches the file: a revoked key is refused within two seconds.
    let keys = FileKeyStore::open("keys.yaml")?;
    let app = Router::new()
        .route("/", get(hello))
        .layer(KeyAuthLayer::new(&keys));

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
