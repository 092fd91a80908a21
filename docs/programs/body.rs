//! Chats and pictures, validated before a handler sees them.

use axum::{Extension, Router, extract::DefaultBodyLimit, http::Method, routing::post};
use stockade_body::{BodyLayer, BodyRules, ImageFormat, ImageRules, Profile, ValidatedImages};
use tokio::net::TcpListener;

async fn size(Extension(images): Extension<ValidatedImages>) -> String {
    let info = images.as_slice()[0].info();
    format!("{} × {} pixels\n", info.width, info.height)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chat = Profile::openai_chat()
        .models(["small"])
        .max_prompt_chars(1_000);
    let picture = Profile::image().images(ImageRules::default().formats([ImageFormat::Gif]));
    let rules = BodyRules::new()
        .route(Method::POST, "/v1/chat/completions", chat)
        .route(Method::POST, "/pictures", picture);
    let app = Router::new()
        .route("/v1/chat/completions", post(async || "an answer\n"))
        .route("/pictures", post(size))
        .layer(BodyLayer::new(rules))
        // The layer limits bodies; axum's own limit of 2 MB is too small for images.
        .layer(DefaultBodyLimit::disable());

    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app).await?;
    Ok(())
}
