//! Uploads of single images.

use super::{rule::Rule, table::at};

pub(super) fn image_json() -> Vec<(String, Rule)> {
    at(
        "",
        [
            ("/type", Rule::Required),
            ("/type", Rule::one_of(["image"])),
            ("/image", Rule::Required),
            ("/image", Rule::Closed),
            ("/image/b64", Rule::Required),
            ("/image/b64", Rule::ImageBase64),
            ("/image/media_type", Rule::ImageMediaType),
            ("/model", Rule::Model),
            ("/prompt", Rule::PromptText),
            ("/max_tokens", Rule::MaxTokens),
            ("/temperature", Rule::Number(0.0, 2.0)),
            ("/priority", Rule::Integer(1, 10)),
        ],
    )
}

#[cfg(feature = "multipart")]
pub(super) fn form() -> Vec<(String, Rule)> {
    at(
        "",
        [
            ("/model", Rule::Model),
            ("/prompt", Rule::PromptText),
            ("/n", Rule::Choices(8)),
            ("/max_tokens", Rule::MaxTokens),
            ("/temperature", Rule::Number(0.0, 2.0)),
            ("/priority", Rule::Integer(1, 10)),
        ],
    )
}
