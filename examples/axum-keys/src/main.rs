//! An axum server with API keys and scopes.
//!
//! ```sh
//! cargo install stockade-example-axum-keys
//! axum-keys
//! ```
//! The program creates a key in memory, and prints it with `curl` commands to try it.
//! `axum-keys --help` lists the options.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for its user")]

use std::{error::Error, net::SocketAddr, process::ExitCode};

use axum::{
    Extension, Json, Router,
    response::IntoResponse,
    routing::{get, post},
};
use clap::Parser;
use http::Method;
use serde_json::json;
use stockade_core::{context::RequestContext, identity::Principal};
use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, KeyStore, MemoryKeyStore};
use stockade_scope::{Access, ScopeLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

/// An axum server with API keys and scopes.
///
/// The program creates a key that may read notes, but not write them, and prints it with `curl`
/// commands to try it. The key is valid until the program exits.
#[derive(Debug, Parser)]
#[command(name = "axum-keys", version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
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

async fn run(Arguments { listen }: Arguments) -> Result<(), Box<dyn Error>> {
    let store = MemoryKeyStore::new();
    let key = add_key(&store, "reader", "notes:read")?;
    let app = app(&store)?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "A key that may read notes, but not write them:\n\n\
         KEY={key}\n\
         curl {url}/notes -H \"Authorization: Bearer $KEY\"\n\
         curl {url}/notes -H \"Authorization: Bearer $KEY\" -X POST\n\
         curl {url}/notes\n\
         curl {url}/health\n\n\
         {url} is up",
        key = key.expose()
    );
    axum::serve(listener, app).await?;
    Ok(())
}

fn add_key(store: &MemoryKeyStore, id: &str, scopes: &str) -> Result<GeneratedKey, Box<dyn Error>> {
    let key = GeneratedKey::new("sk", id.parse()?)?;
    let record = KeyRecord::new(key.id().clone(), key.digest()).scopes(scopes.parse()?);
    store.insert(record)?;
    Ok(key)
}

/// The routes, and one layer with two guards around all of them.
fn app<K>(keys: &K) -> Result<Router, Box<dyn Error>>
where
    K: KeyStore,
{
    let scopes = ScopeLayer::builder()
        .route(Method::GET, "/health", Access::public())
        .route(Method::GET, "/notes", Access::scope("notes:read".parse()?))
        .route(
            Method::POST,
            "/notes",
            Access::scope("notes:write".parse()?),
        )
        .build()?;
    Ok(Router::new()
        .route("/health", get(async || "ok"))
        .route("/notes", get(read).post(async || "written"))
        // A route without a rule is denied, whatever the scopes of the key.
        .route("/forgotten", post(async || "secret"))
        .layer(
            ServiceBuilder::new()
                // Passes requests without a key to the scope guard, which knows the public
                // routes.
                .layer(KeyAuthLayer::new(keys).dangerous_allow_anonymous())
                .layer(scopes),
        ))
}

async fn read(Extension(context): Extension<RequestContext>) -> impl IntoResponse {
    let reader = context.principal().map(Principal::id);
    Json(json!({ "reader": reader, "notes": ["milk", "bread"] }))
}

#[cfg(test)]
mod tests {
    use axum::{body::Body, extract::Request};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn a_key_is_limited_to_its_scopes() {
        let store = MemoryKeyStore::new();
        let reader = add_key(&store, "reader", "notes:read").unwrap();
        let admin = add_key(&store, "admin", "*").unwrap();
        let app = app(&store).unwrap();
        for (key, method, path, status) in [
            (None, "GET", "/health", 200),
            (None, "GET", "/notes", 401),
            (Some(&reader), "GET", "/notes", 200),
            (Some(&reader), "POST", "/notes", 403),
            (Some(&admin), "POST", "/notes", 200),
            (Some(&admin), "POST", "/forgotten", 404),
            (Some(&admin), "DELETE", "/notes", 405),
        ] {
            let mut request = Request::builder().method(method).uri(path);
            if let Some(key) = key {
                request = request.header("authorization", format!("Bearer {}", key.expose()));
            }
            let request = request.body(Body::empty()).unwrap();
            let response = app.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), status, "{key:?} {method} {path}");
        }
    }
}
