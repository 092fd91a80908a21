//! An axum server with API keys and scopes.
//!
//! ```sh
//! cargo run -p stockade-example-axum-keys
//! ```
//! The program prints a key and `curl` commands to try it.

use std::error::Error;

use axum::{
    Extension, Json, Router,
    response::IntoResponse,
    routing::{get, post},
};
use http::Method;
use serde_json::json;
use stockade_core::{context::RequestContext, identity::Principal};
use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, KeyStore, MemoryKeyStore};
use stockade_scope::{Access, ScopeLayer};
use tower::ServiceBuilder;

const ADDRESS: &str = "127.0.0.1:8080";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryKeyStore::new();
    let key = add_key(&store, "reader", "notes:read")?;
    let app = app(&store)?;
    let listener = tokio::net::TcpListener::bind(ADDRESS).await?;
    say(&format!(
        "http://{ADDRESS} is up; this key may read notes, but not write them:\n\n\
         curl -H 'Authorization: Bearer {key}' http://{ADDRESS}/notes\n\
         curl -H 'Authorization: Bearer {key}' http://{ADDRESS}/notes -X POST\n\
         curl http://{ADDRESS}/notes\n\
         curl http://{ADDRESS}/health",
        key = key.expose()
    ))?;
    axum::serve(listener, app).await?;
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
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
