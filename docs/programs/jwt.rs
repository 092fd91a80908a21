//! Access tokens of one issuer.

use axum::{Extension, Router, routing::get};
use stockade_core::{context::RequestContext, identity::Principal};
use stockade_jwt::{Algorithm, JwtLayer, KeySet, LiveKeys, TokenRules, VerifyingKey};
use tokio::net::TcpListener;

async fn hello(Extension(context): Extension<RequestContext>) -> String {
    let id = context.principal().map_or("anonymous", Principal::id);
    format!("hello, {id}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = VerifyingKey::pem(Algorithm::EdDsa, &std::fs::read_to_string("public.pem")?)?;
    let rules = TokenRules::new("https://login.example.com", "https://api.example.com");
    let tokens = JwtLayer::new(LiveKeys::new(KeySet::new([key])), rules);
    let app = Router::new().route("/", get(hello)).layer(tokens);

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
