//! A fence that follows changes of its configuration file.

use std::{io, net::SocketAddr};

use axum::{Router, routing::post};
use stockade::{Config, Environment, Fence};
use stockade_watch::{FileVersions, FileWatch, SourceHealth};
use tokio::net::TcpListener;

const FILE: &str = "stockade.toml";

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().init();
    // Taken before the first read, so that no change in between is lost.
    let versions = FileVersions::of([FILE]);
    let config = Config::read(FILE, &Environment::from_process())?;
    let fence = Fence::builder(&config).build().await?;

    let reloaded = fence.clone();
    let health = SourceHealth::new(FILE);
    let _watch = FileWatch::start(versions, health, move || {
        let config = Config::read(FILE, &Environment::from_process()).map_err(io::Error::other)?;
        let pending = reloaded.reload(&config).map_err(io::Error::other)?;
        if !pending.is_empty() {
            tracing::warn!("restart to apply {}", pending.join(", "));
        }
        Ok::<_, io::Error>(())
    })?;

    let app = Router::new()
        .route("/v1/chat/completions", post(async || "hello\n"))
        .layer(fence.layer())
        .into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
