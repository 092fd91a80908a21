//! A budget of model tokens for each key.

use axum::{Extension, Router, http::Method, routing::post};
use stockade_body::{BodyLayer, BodyRules, Profile};
use stockade_core::{context::RequestContext, llm::TokenUsage};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, TokenBudgetLayer};
use tokio::net::TcpListener;
use tower::ServiceBuilder;

async fn chat(Extension(context): Extension<RequestContext>) -> &'static str {
    // What the model has used replaces the estimate.
    context.set_usage(TokenUsage {
        prompt_tokens: 20,
        completion_tokens: 400,
    });
    "an answer\n"
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys = FileKeyStore::open("keys.yaml")?;
    let bodies =
        BodyRules::new().route(Method::POST, "/v1/chat/completions", Profile::openai_chat());
    let budget = Limit::new("tokens", KeyExtractor::principal()).quota(Quota::per_minute(1_000));
    let app = Router::new()
        .route("/v1/chat/completions", post(chat))
        .layer(
            ServiceBuilder::new()
                .layer(KeyAuthLayer::new(&keys))
                .layer(BodyLayer::new(bodies))
                .layer(TokenBudgetLayer::new(Limits::new([budget])?).openai_headers()),
        );

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
