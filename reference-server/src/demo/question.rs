//! The question that the demo asks its own model, over HTTP as a client would.

use std::{io::IsTerminal, net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};

use super::{NAME, sample_image, upstream_url};
use crate::cli::print;

/// The question about the sample image.
pub(super) const QUESTION: &str = "Click the Submit button";

const TIMEOUT: Duration = Duration::from_secs(60);
const MAX_RESPONSE_BYTES: usize = 64 * 1024;

/// Asks the question, and prints it with the picture and the answer.
pub(super) async fn ask_and_print(address: SocketAddr, key: String) {
    let answer = match tokio::time::timeout(TIMEOUT, ask(address, &key)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return tracing::warn!(error, "the demo's question failed"),
        Err(_) => return tracing::warn!("the demo's question timed out"),
    };
    let picture = if shows_colours() {
        sample_image::blocks()
    } else {
        "  (the picture is shown in a terminal with colours)\n".to_owned()
    };
    // If the terminal is gone, the server keeps running without the text.
    let _ = print(&format!(
        "The model's answer about the picture in these requests, of 140 × 112 pixels:\n\n\
         {picture}\n  question  {QUESTION}\n  answer    {answer}\n"
    ));
}

fn shows_colours() -> bool {
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() && !dumb
}

async fn ask(address: SocketAddr, key: &str) -> Result<String, String> {
    let body = json!({
        "model": NAME,
        "temperature": 0,
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": sample_image::data_url()}},
        ]}],
    });
    let request = Request::post(format!("{}/chat/completions", upstream_url(address)))
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .body(Full::new(Bytes::from(body.to_string())))
        .map_err(|error| error.to_string())?;
    let client = Client::builder(TokioExecutor::new()).build_http();
    let response = client.request(request).await.map_err(|e| e.to_string())?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_RESPONSE_BYTES);
    let bytes = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
    let answer: Value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    answer["choices"][0]["message"]["content"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("the server answered with status {status}"))
}
