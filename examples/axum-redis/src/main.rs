//! An axum server whose replicas share their rate limits in Redis.
//!
//! ```sh
//! cargo install stockade-example-axum-redis
//! redis-server --port 6379 &
//! axum-redis &
//! axum-redis --listen 127.0.0.1:8081 &
//! curl -i http://127.0.0.1:8080/
//! curl -i http://127.0.0.1:8081/
//! ```
//! Both replicas count in the same limit, as the header `ratelimit` shows. While Redis is
//! stopped, `/health` reports it, and `--on-failure` decides:
//!
//! - `local` counts in each replica, with half of the limit;
//! - `deny` responds with 503;
//! - `allow` allows every request.
//!
//! When Redis is back, it decides again. `axum-redis --help` lists the options.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for its user")]

use std::{error::Error, net::SocketAddr, num::NonZeroU32, process::ExitCode};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Request, State},
    http::StatusCode,
    response::IntoResponse,
    routing::get,
};
use clap::{Parser, ValueEnum};
use serde_json::json;
use stockade_core::{client::PeerAddr, guard::Guard};
use stockade_rate_limit::{
    FailurePolicy, Fallback, Fraction, KeyExtractor, Limit, Limits, Quota, RateLimit,
};
use stockade_redis::{Redis, RedisConfig, RedisLimits};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

/// An axum server whose replicas share their rate limits in Redis.
///
/// Start it twice with different --listen: both count in the same limit. GET / is limited; GET
/// /health reports whether Redis responds.
#[derive(Debug, Parser)]
#[command(name = "axum-redis", version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The URL of Redis; with a password: redis://:PASSWORD@HOST:PORT.
    #[arg(
        long,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1"
    )]
    redis: String,
    /// The limit of each client address, such as "10/minute" or "100/hour burst 20".
    #[arg(long, default_value = "10/minute")]
    limit: Quota,
    /// The policy while Redis does not respond.
    #[arg(long, value_enum, default_value = "local")]
    on_failure: OnFailure,
    /// The number of permits that a replica leases for a busy client with one call to Redis.
    #[arg(long)]
    lease: Option<NonZeroU32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OnFailure {
    /// Count in each replica, with half of the limit.
    Local,
    /// Respond with 503.
    Deny,
    /// Allow every request.
    Allow,
}

impl OnFailure {
    fn policy(self) -> Result<FailurePolicy, Box<dyn Error>> {
        Ok(match self {
            Self::Deny => FailurePolicy::Deny,
            Self::Allow => FailurePolicy::Allow,
            // Half of the limit, for two replicas.
            Self::Local => FailurePolicy::Local {
                fraction: Fraction::new(0.5)?,
            },
        })
    }
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

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let app = app(&arguments)?;
    let listen = arguments.listen;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!("curl -i {url}/\ncurl {url}/health\n\n{url} is up");
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await?;
    Ok(())
}

/// The routes; all except `/health` are limited.
fn app(arguments: &Arguments) -> Result<Router, Box<dyn Error>> {
    let redis = Redis::connect(RedisConfig::new(&arguments.redis)?)?;
    let store = match arguments.lease {
        Some(size) => RedisLimits::with_leases(&redis, size),
        None => RedisLimits::new(&redis),
    };
    let store = Fallback::new(store, arguments.on_failure.policy()?);
    let limits = Limits::new([Limit::new("ip", KeyExtractor::client_ip()).quota(arguments.limit)])?;
    Ok(Router::new()
        .route("/", get(async || "hello\n"))
        .layer(
            ServiceBuilder::new()
                .map_request(insert_peer)
                .layer(RateLimit::with_store(limits, store.clone()).into_layer()),
        )
        .route("/health", get(health).with_state(store)))
}

/// Passes the peer address of axum to the layer.
fn insert_peer(mut request: Request) -> Request {
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>() {
        let peer = PeerAddr::Ip(peer.ip());
        request.extensions_mut().insert(peer);
    }
    request
}

async fn health(State(store): State<Fallback<RedisLimits>>) -> impl IntoResponse {
    let health = store.health();
    let status = match health.up {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    let body = json!({
        "redis": health.up,
        "for_seconds": health.since.as_secs(),
        "decided_without": health.fallback_decisions,
    });
    (status, Json(body))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt;

    use super::*;

    async fn statuses(app: &Router, path: &str, count: usize) -> Vec<u16> {
        let mut statuses = Vec::new();
        for _ in 0..count {
            let peer = ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 50_000)));
            let request = Request::get(path)
                .extension(peer)
                .body(Body::empty())
                .unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            statuses.push(response.status().as_u16());
        }
        statuses
    }

    #[tokio::test]
    async fn without_redis_the_failure_policy_decides_and_health_fails() {
        for (policy, expected) in [
            ("deny", [503; 8]),
            ("allow", [200; 8]),
            ("local", [200, 200, 200, 429, 429, 429, 429, 429]),
        ] {
            // No server listens on port 1.
            let arguments = [
                "axum-redis",
                "--redis",
                "redis://127.0.0.1:1",
                "--limit",
                "6/hour",
            ];
            let arguments = arguments.into_iter().chain(["--on-failure", policy]);
            let app = app(&Arguments::parse_from(arguments)).unwrap();
            assert_eq!(statuses(&app, "/", 8).await, expected, "{policy}");
            assert_eq!(statuses(&app, "/health", 1).await, [503]);
        }
    }
}
