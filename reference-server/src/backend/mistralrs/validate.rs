//! Checks of a chat that need the loaded model.

use super::{
    BackendError, ChatRequest, Message,
    engine::ModelInfo,
    grammar::GrammarError,
    image_limits::ImageLimits,
    model_dir::Modality,
    picture::{self, Picture},
    quirks,
    size_rule::SizeRule,
    tool_prompt,
};
use crate::{
    chat::{ImagePixels, ResponseFormat, ToolChoice},
    dialect::IMAGE_PIXELS_FIELD,
};

/// The maximum number of choices. They run one after the other in the same slot.
const MAX_CHOICES: u32 = 16;

/// Checks that the engine supports the features of the request.
///
/// # Errors
/// Returns [`BackendError::Unsupported`] with the field if it does not, or
/// [`BackendError::Invalid`] if a value is too large.
pub(super) fn features(info: &ModelInfo, request: &ChatRequest) -> Result<(), BackendError> {
    let unsupported = [
        (
            "prompt",
            info.text_from_replies && request.raw_prompt.is_some(),
        ),
        (
            "tools",
            info.text_from_replies && !tool_prompt::active(request).is_empty(),
        ),
        (
            "response_format",
            info.text_from_replies && !matches!(request.response_format, ResponseFormat::Text),
        ),
        (
            "logprobs",
            request.top_logprobs.is_some() && info.text_from_replies,
        ),
        (
            "reasoning_effort",
            info.reasoning.values(request.reasoning_effort).is_none(),
        ),
    ];
    if let Some((param, _)) = unsupported.into_iter().find(|(_, used)| *used) {
        let param = param.to_owned();
        return Err(BackendError::Unsupported { param });
    }
    if request.choices > MAX_CHOICES {
        let text = format!("this model generates at most {MAX_CHOICES} choices: ask for fewer");
        return invalid("n", text);
    }
    Ok(())
}

/// Checks that the model supports the messages.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if it does not.
pub(super) fn messages(info: &ModelInfo, messages: &[Message]) -> Result<(), BackendError> {
    let images = messages.iter().flat_map(Message::images).count();
    if images > 0 && info.modality == Modality::Text {
        return invalid(
            "messages",
            "this model supports text only: remove the images",
        );
    }
    if images > quirks::MAX_IMAGES {
        let max = quirks::MAX_IMAGES;
        let text = format!(
            "{images} images, but this model supports at most {max} in a chat: send only the newest"
        );
        return invalid("messages", text);
    }
    for (i, message) in messages.iter().enumerate() {
        if message.images().any(|image| image.file.pixels() == 0) {
            let text = "an image has no pixels: remove it";
            return invalid(format!("messages[{i}].content"), text);
        }
    }
    Ok(())
}

/// The sizes of images for a request, which may ask for others within those of the model.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if it asks for sizes outside.
pub(super) fn sizes(sizes: &SizeRule, asked: ImagePixels) -> Result<SizeRule, BackendError> {
    let SizeRule {
        min_pixels,
        max_pixels,
        ..
    } = *sizes;
    for (name, value) in [("max_pixels", asked.max), ("min_pixels", asked.min)] {
        if value.is_some_and(|value| !(min_pixels..=max_pixels).contains(&value)) {
            let text = format!("it must be from {min_pixels} to {max_pixels} for this model");
            return invalid(format!("{IMAGE_PIXELS_FIELD}.{name}"), text);
        }
    }
    let narrowed = SizeRule {
        min_pixels: asked.min.unwrap_or(min_pixels),
        max_pixels: asked.max.unwrap_or(max_pixels),
        ..*sizes
    };
    if narrowed.min_pixels > narrowed.max_pixels {
        let text = "it is over `max_pixels`: exchange the values";
        return invalid(format!("{IMAGE_PIXELS_FIELD}.min_pixels"), text);
    }
    Ok(narrowed)
}

/// Checks that the device can compute the images of a chat.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if they have too many tokens together.
pub(super) fn image_tokens(limits: &ImageLimits, pictures: &[Picture]) -> Result<(), BackendError> {
    let tokens = picture::tokens(pictures);
    let max = limits.chat_tokens;
    if tokens <= max {
        return Ok(());
    }
    let text = format!(
        "the images have {tokens} tokens together, but here the model takes at most {max} in a \
         chat: send smaller images"
    );
    invalid("messages", text)
}

/// Checks the choice of tools.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if it does not.
pub(super) fn tools(request: &ChatRequest) -> Result<(), BackendError> {
    if let ToolChoice::Function(name) = &request.tool_choice
        && !request.tools.iter().any(|tool| tool.name == *name)
    {
        return invalid("tool_choice", "it names a function that is not in `tools`");
    }
    if request.tool_choice == ToolChoice::Required && request.tools.is_empty() {
        return invalid(
            "tool_choice",
            "a call is required, but there are no `tools`",
        );
    }
    Ok(())
}

/// The maximum number of tokens to generate: the requested number, limited by the context length.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if the prompt is empty or fills the context.
pub(super) fn token_limit(
    info: &ModelInfo,
    is_raw: bool,
    prompt: usize,
    asked: usize,
) -> Result<usize, BackendError> {
    let context = info.context;
    if prompt >= context {
        let text = format!(
            "the prompt has {prompt} tokens, but the context of this model has {context}: shorten \
             it"
        );
        return invalid(prompt_param(is_raw), text);
    }
    if prompt == 0 {
        return invalid(prompt_param(is_raw), "the prompt is empty: add some text");
    }
    Ok(asked.clamp(1, context - prompt))
}

/// The refusal of a schema of the field `param`.
pub(super) fn invalid_schema(param: &str, error: &GrammarError) -> BackendError {
    BackendError::Invalid {
        param: param.to_owned(),
        message: format!("this schema cannot be used: {}", error.reason()),
    }
}

fn prompt_param(is_raw: bool) -> &'static str {
    if is_raw { "prompt" } else { "messages" }
}

fn invalid<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, BackendError> {
    Err(BackendError::Invalid {
        param: param.into(),
        message: message.into(),
    })
}
