//! Blocks of messages.

use stockade_core::refusal::Refusal;

use super::body::SourceBody;
use crate::{
    chat::{EncodedImage, Part},
    dialect::{
        images::ImageBudget,
        refusals::{invalid, missing, unsupported},
    },
};

/// Where a block has an unsupported type.
#[derive(Clone, Copy, Debug)]
pub(super) enum BlockError {
    User,
    Assistant,
    Result,
}

impl BlockError {
    pub(super) fn refusal(self, kind: &str, path: &str) -> Refusal {
        let path = format!("{path}.type");
        match (self, kind) {
            (_, "document" | "search_result" | "container_upload" | "server_tool_use") => {
                unsupported(path, "blocks of this type are not supported by this server")
            }
            (Self::User, _) => invalid(path, "it must be one of text, image, tool_result"),
            (Self::Assistant, _) => invalid(path, "it must be one of text, tool_use, thinking"),
            (Self::Result, _) => invalid(path, "it must be one of text, image"),
        }
    }
}

/// Converts an image.
pub(super) fn image(
    source: Option<SourceBody<'_>>,
    path: &str,
    budget: &mut ImageBudget,
) -> Result<Part, Refusal> {
    let path = format!("{path}.source");
    let Some(source) = source else {
        return Err(missing(path));
    };
    match (source.kind.as_str(), source.data, source.url) {
        ("base64", Some(data), None) => {
            budget.add(EncodedImage::from_base64(&data), format!("{path}.data"))
        }
        ("base64", ..) => Err(invalid(path, "it must have `data` and no `url`")),
        ("url", None, Some(url)) => budget.add(EncodedImage::from_url(&url), format!("{path}.url")),
        ("url", ..) => Err(invalid(path, "it must have a `url` and no `data`")),
        _ => Err(invalid(format!("{path}.type"), "it must be base64")),
    }
}
