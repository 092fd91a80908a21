//! A tonic service and an axum router on one port, behind one fence.
//!
//! ```sh
//! cd examples/tonic-and-axum
//! cargo run -p stockade-cli -- keys new --store keys.yaml --id me --scope notes:read
//! cargo run
//! ```
//! Then, with the key in `KEY`, over HTTP and over gRPC:
//! ```sh
//! curl -i http://127.0.0.1:8080/notes/milk -H "Authorization: Bearer $KEY"
//! curl -i http://127.0.0.1:8080/notes/milk -X PUT -H "Authorization: Bearer $KEY"
//! grpc() { printf '\0\0\0\0\0' | curl -i --output - --http2-prior-knowledge \
//!     --data-binary @- -H 'Content-Type: application/grpc' -H 'TE: trailers' "$@"; }
//! grpc http://127.0.0.1:8080/grpc.health.v1.Health/Check -H "Authorization: Bearer $KEY"
//! grpc http://127.0.0.1:8080/grpc.health.v1.Health/Watch -H "Authorization: Bearer $KEY"
//! ```
//! The second and the fourth are refused, each in the format of its protocol: as JSON, and
//! as `grpc-status` 7, `PERMISSION_DENIED`. `stockade.toml` configures routes and scopes.

use std::{error::Error, net::SocketAddr};

use axum::{Json, Router, extract::Path, routing::get};
use serde_json::{Value, json};
use stockade::{Authenticated, Config, Environment, Fence};
use tokio::net::TcpListener;
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::health_reporter};
use tower_layer::Layer;

const ADDRESS: &str = "127.0.0.1:8080";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::read("stockade.toml", &Environment::from_process())?;
    // Axum serves both, so both have the peer address in axum's `ConnectInfo`.
    let fence = Fence::from_config(&config).await?;
    let listener = TcpListener::bind(ADDRESS).await?;
    let app = app(&fence, grpc().await);
    say(&format!("{fence}\nhttp://{ADDRESS} is up"))?;
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .await?;
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
}

/// The gRPC services; add your own here.
async fn grpc() -> Routes {
    let (reporter, health) = health_reporter();
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    Routes::new(health)
}

/// HTTP and gRPC, each behind the same fence. A request passes it once, and both count in the
/// same limits.
///
/// The path selects the service instead of the content type, which the client could choose
/// freely: the fence checks the same path that is served.
fn app(fence: &Fence, grpc: Routes) -> Router {
    Router::new()
        .route("/notes/{name}", get(read).put(write))
        // After axum's routing: the fence checks the matched route.
        .layer(fence.layer())
        // Other paths go to tonic. Before tonic's routing: the fence checks the path, which
        // names the gRPC method.
        .fallback_service(fence.layer().layer(grpc))
}

async fn read(Path(name): Path<String>, reader: Authenticated) -> Json<Value> {
    Json(json!({ "note": name, "reader": reader.id() }))
}

async fn write(Path(name): Path<String>, Json(text): Json<Value>) -> Json<Value> {
    Json(json!({ "note": name, "text": text }))
}

#[cfg(test)]
mod tests;
