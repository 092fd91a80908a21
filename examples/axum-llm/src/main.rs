//! A chat endpoint with OpenAI's protocol behind the whole fence.
//!
//! ```sh
//! cd examples/axum-llm
//! cargo run
//! ```
//! The first start creates a key and prints it with commands to try it. `stockade.toml`
//! configures routes, scopes and limits. Replace `parrot.rs` with your own model.
//!
//! - `kill -HUP` reloads `stockade.toml` and reopens the files of the audit log;
//! - `kill -TERM` and Ctrl-C wait for responses to complete and flush the audit log.

mod chat;
mod first_key;
mod parrot;
mod signals;

use std::{error::Error, net::SocketAddr, path::PathBuf};

use axum::{
    Router,
    extract::{DefaultBodyLimit, State},
    routing::{get, post},
};
use clap::Parser;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use stockade::{Config, Environment, Fence, FenceEvent};
use stockade_key_auth::GeneratedKey;
use tokio::net::TcpListener;

/// A chat endpoint behind the whole fence.
#[derive(Debug, Parser)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The configuration file of the fence.
    #[arg(long, default_value = "stockade.toml")]
    config: PathBuf,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let Arguments { listen, config } = Arguments::parse();
    let settings = Config::read(&config, &Environment::from_process())?;
    let listener = TcpListener::bind(listen).await?;
    let key = first_key::make(&settings).await?;
    let figures = PrometheusBuilder::new().install_recorder()?;
    let fence = Fence::builder(&settings)
        .metrics()
        .on_event(|event: &FenceEvent| tracing::info!(?event))
        .build()
        .await?;
    signals::reload_on_hangup(fence.clone(), config)?;
    let stop = signals::stop()?;
    let app = app(&fence, figures).into_make_service_with_connect_info::<SocketAddr>();
    say(&greeting(&fence, listener.local_addr()?, key.as_ref()))?;
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().begun());
    tokio::select! {
        ended = async { server.await } => ended?,
        // Responses that are aborted here are recorded when they are dropped.
        () = stop.overdue() => tracing::warn!("grace period over; responses aborted"),
    }
    signals::flush(&fence).await;
    Ok(())
}

/// The routes, and one layer around all of them.
fn app(fence: &Fence, figures: PrometheusHandle) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::chat))
        .route("/health", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .with_state((fence.clone(), figures))
        // The fence limits bodies; axum's default of 2 MB is too small for images.
        .layer(DefaultBodyLimit::disable())
        .layer(fence.layer())
}

async fn metrics(State((fence, figures)): State<(Fence, PrometheusHandle)>) -> String {
    fence.record_gauges();
    figures.run_upkeep();
    figures.render()
}

fn greeting(fence: &Fence, address: SocketAddr, key: Option<&GeneratedKey>) -> String {
    let try_it = key.map(|key| {
        format!(
            "First key (shown only now):\n\n\
             KEY={key}\n\
             curl -N http://{address}/v1/chat/completions -H \"Authorization: Bearer $KEY\" \\\n  \
             -H 'Content-Type: application/json' \\\n  \
             -d '{{\"model\": \"parrot\", \"stream\": true, \
             \"messages\": [{{\"role\": \"user\", \"content\": \"Polly wants a cracker\"}}]}}'\n\
             curl http://{address}/metrics -H \"Authorization: Bearer $KEY\"\n\
             curl http://{address}/v1/chat/completions -X POST\n\n",
            key = key.expose()
        )
    });
    format!(
        "{fence}\n{}http://{address} is up",
        try_it.unwrap_or_default()
    )
}

fn say(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
}
