//! One response at a time for each key.

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, routing::get};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use stockade_rate_limit::{ConcurrencyLayer, ConcurrencyLimit, KeyExtractor};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(2)).await;
    "done\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = FileKeyStore::open("keys.yaml")?;
    let one = ConcurrencyLimit::new("key", KeyExtractor::principal(), NonZeroU32::MIN);
    let app = Router::new().route("/", get(slow)).layer(
        ServiceBuilder::new()
            .layer(KeyAuthLayer::new(&keys))
            .layer(ConcurrencyLayer::new([one])),
    );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
