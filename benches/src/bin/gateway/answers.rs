//! Whether a gateway passes on what the upstream has answered.

use std::{error::Error, sync::LazyLock};

use reqwest::{Client, Response};
use serde_json::Value;
use stockade_benches::{completion as upstream_completion, stream_text};

use crate::{
    case::{EVENTS, Kind, Size, body},
    gateways::{Gateway, Name},
};

static CLIENT: LazyLock<Client> = LazyLock::new(|| {
    let builder = Client::builder().no_proxy();
    builder.build().expect("a client without TLS has no errors")
});

/// Sends a chat; answers with other statuses than 200 are errors.
pub(crate) async fn send(gateway: &Gateway, body: String) -> Result<Response, Box<dyn Error>> {
    let request = CLIENT.post(&gateway.url).bearer_auth(&gateway.key);
    let request = request.header("content-type", "application/json");
    let response = request.body(body).send().await?;
    if response.status() == 200 {
        return Ok(response);
    }
    let (name, status) = (gateway.name, response.status());
    Err(format!("{name}: {status}: {}", response.text().await?).into())
}

/// Whether it answers a small chat.
pub(crate) async fn completion(gateway: &Gateway) -> Result<(), Box<dyn Error>> {
    check(gateway, Kind::Json, Size::Small).await
}

/// Checks an answer of each kind, for both sizes of a body.
pub(crate) async fn check_all(gateway: &Gateway) -> Result<(), Box<dyn Error>> {
    for kind in [Kind::Json, Kind::Sse] {
        for size in [Size::Small, Size::Large] {
            check(gateway, kind, size).await?;
        }
    }
    Ok(())
}

async fn check(gateway: &Gateway, kind: Kind, size: Size) -> Result<(), Box<dyn Error>> {
    let response = send(gateway, body(kind, size, EVENTS, 0)).await?;
    let answer = response.text().await?;
    let expected = match kind {
        Kind::Json => upstream_completion().to_owned(),
        Kind::Sse => stream_text(EVENTS),
    };
    let is_right = match gateway.name {
        // It writes its own objects.
        Name::Litellm => content(&answer) == content(&expected),
        _ => answer == expected,
    };
    match is_right {
        true => Ok(()),
        false => Err(format!("{}: wrong answer: {answer}", gateway.name).into()),
    }
}

/// The text of a completion, or of all events of a stream.
fn content(answer: &str) -> String {
    let objects = answer.lines().map(|line| {
        let json = line.strip_prefix("data: ").unwrap_or(line);
        serde_json::from_str(json).unwrap_or_default()
    });
    let texts = objects.filter_map(|object: Value| {
        let choice = &object["choices"][0];
        let text = choice["message"]["content"].as_str();
        let text = text.or_else(|| choice["delta"]["content"].as_str());
        text.map(str::to_owned)
    });
    texts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_that_of_objects_and_of_streams() {
        assert!(content(upstream_completion()).starts_with("The picture"));
        assert_eq!(content(&stream_text(3)), " noise grain noise");
        assert_eq!(content("<html>"), "");
    }
}
