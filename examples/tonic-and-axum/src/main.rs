//! A tonic service and an axum router on one port, behind one fence.
//!
//! ```sh
//! cargo install stockade-example-tonic-and-axum
//! tonic-and-axum --dir my-api
//! ```
//! The first start creates `my-api` with `stockade.toml`, which configures routes and scopes, and a
//! key, which it prints with commands to try it over HTTP and over gRPC. Refusals have the format
//! of the protocol: JSON, or `grpc-status` 7, `PERMISSION_DENIED`. `tonic-and-axum --help` lists
//! the options.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for its user")]

mod first_key;
mod folder;

use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode};

use axum::{Json, Router, extract::Path, routing::get};
use clap::Parser;
use serde_json::{Value, json};
use stockade::{Authenticated, Config, Environment, Fence};
use stockade_key_auth::GeneratedKey;
use tokio::{net::TcpListener, signal};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::health_reporter};
use tower_layer::Layer;

use folder::Folder;

/// A tonic service and an axum router on one port, behind one fence.
///
/// The program creates a configuration and a key, and prints the key with `curl` commands to try it
/// over HTTP and over gRPC. Variables take precedence over the configuration file:
/// STOCKADE_RATE_LIMIT__BY_KEY=5/minute.
#[derive(Debug, Parser)]
#[command(name = "tonic-and-axum", version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder of stockade.toml, the keys and the logs; missing files are created. By default, a
    /// temporary folder that is removed on Ctrl-C.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { listen, dir }: Arguments) -> Result<(), Box<dyn Error>> {
    let folder = Folder::open(dir)?;
    let config = Config::read(folder.config(), &Environment::from_process())?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let key = first_key::make(&config, "notes:read").await?;
    // Axum serves both, so both have the peer address in axum's `ConnectInfo`.
    let fence = Fence::from_config(&config).await?;
    let app = app(&fence, grpc().await).into_make_service_with_connect_info::<SocketAddr>();
    println!("{fence}\n{}\n", folder.describe());
    greet(listener.local_addr()?, key.as_ref());
    tokio::select! {
        ended = async { axum::serve(listener, app).await } => ended?,
        interrupted = signal::ctrl_c() => interrupted?,
    }
    Ok(())
}

fn greet(address: SocketAddr, key: Option<&GeneratedKey>) {
    let url = format!("http://{address}");
    if let Some(key) = key {
        println!(
            "First key (shown only now); it may neither write notes nor watch:\n\n\
             KEY={key}\n\
             curl -i {url}/notes/milk -H \"Authorization: Bearer $KEY\"\n\
             curl -i {url}/notes/milk -X PUT -H \"Authorization: Bearer $KEY\"\n\
             grpc() {{ printf '\\0\\0\\0\\0\\0' | curl -i --output - --http2-prior-knowledge \\\n  \
             --data-binary @- -H 'Content-Type: application/grpc' -H 'TE: trailers' \"$@\"; }}\n\
             grpc {url}/grpc.health.v1.Health/Check -H \"Authorization: Bearer $KEY\"\n\
             grpc {url}/grpc.health.v1.Health/Watch -H \"Authorization: Bearer $KEY\"\n",
            key = key.expose()
        );
    }
    println!("{url} is up");
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
