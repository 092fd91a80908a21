//! A chat endpoint with OpenAI's protocol behind the whole fence.
//!
//! ```sh
//! cargo install stockade-example-axum-llm
//! axum-llm --dir my-api
//! ```
//! The first start creates `my-api` with `stockade.toml`, which configures routes, scopes and
//! limits, and a key, which it prints with commands to try it. `axum-llm --help` lists the options.
//! The model is a stand-in that repeats the prompt: replace `src/parrot.rs` with your own.
//!
//! - `kill -HUP` reloads `stockade.toml` and reopens the files of the audit log;
//! - `kill -TERM` and Ctrl-C wait for responses to complete and flush the audit log.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for its user")]

mod chat;
mod first_key;
mod folder;
mod parrot;
#[cfg(unix)]
mod reload;
mod shutdown;

use std::{error::Error, net::SocketAddr, path::PathBuf, process::ExitCode};

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

use folder::Folder;

/// A chat endpoint with OpenAI's protocol behind the whole fence.
///
/// The program creates a configuration and a key, and prints the key with `curl` commands to try
/// it. The model is a stand-in that repeats the prompt. Variables take precedence over the
/// configuration file: STOCKADE_RATE_LIMIT__BY_KEY=5/minute.
#[derive(Debug, Parser)]
#[command(name = "axum-llm", version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The folder of stockade.toml, the keys and the logs; missing files are created. By default, a
    /// temporary folder that is removed on exit.
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
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let folder = Folder::open(dir)?;
    let config = Config::read(folder.config(), &Environment::from_process())?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let key = first_key::make(&config, "chat:write metrics:read").await?;
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let fence = Fence::builder(&config)
        .metrics()
        .on_event(|event: &FenceEvent| tracing::info!(?event))
        .build()
        .await?;
    #[cfg(unix)]
    reload::on_hangup(fence.clone(), folder.config())?;
    let stop = shutdown::stop()?;
    let app = app(&fence, metrics).into_make_service_with_connect_info::<SocketAddr>();
    println!("{fence}\n{}\n", folder.describe());
    greet(listener.local_addr()?, key.as_ref());
    let server = axum::serve(listener, app).with_graceful_shutdown(stop.clone().begun());
    tokio::select! {
        ended = async { server.await } => ended?,
        // Responses that are aborted here are recorded when they are dropped.
        () = stop.overdue() => tracing::warn!("grace period over; responses aborted"),
    }
    shutdown::flush(&fence).await;
    Ok(())
}

/// The routes, and one layer around all of them.
fn app(fence: &Fence, metrics: PrometheusHandle) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat::chat))
        .route("/health", get(async || "ok\n"))
        .route("/metrics", get(render_metrics))
        .with_state((fence.clone(), metrics))
        // The fence limits bodies; axum's default of 2 MB is too small for images.
        .layer(DefaultBodyLimit::disable())
        .layer(fence.layer())
}

async fn render_metrics(State((fence, metrics)): State<(Fence, PrometheusHandle)>) -> String {
    fence.record_gauges();
    metrics.run_upkeep();
    metrics.render()
}

fn greet(address: SocketAddr, key: Option<&GeneratedKey>) {
    let url = format!("http://{address}");
    if let Some(key) = key {
        println!(
            "First key (shown only now):\n\n\
             KEY={key}\n\
             curl -N {url}/v1/chat/completions -H \"Authorization: Bearer $KEY\" \\\n  \
             -H 'Content-Type: application/json' \\\n  \
             -d '{{\"model\": \"parrot\", \"stream\": true, \
             \"messages\": [{{\"role\": \"user\", \"content\": \"Polly wants a cracker\"}}]}}'\n\
             curl {url}/metrics -H \"Authorization: Bearer $KEY\"\n\
             curl {url}/v1/chat/completions -X POST\n",
            key = key.expose()
        );
    }
    println!("{url} is up");
}
