//! Checks of a chat that need the loaded model.

use super::{BackendError, Message, engine::ModelInfo, model_dir::Modality, quirks};

/// Checks that the model supports the messages.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if it does not.
pub(super) fn messages(info: &ModelInfo, messages: &[Message]) -> Result<(), BackendError> {
    let images: usize = messages.iter().map(|message| message.images.len()).sum();
    if images > 0 && info.modality == Modality::Text {
        return invalid(
            "messages",
            "this model supports text only: remove the images",
        );
    }
    if images > quirks::MAX_IMAGES {
        let max = quirks::MAX_IMAGES;
        let text = format!("{images} images, but this model supports at most {max} in a chat");
        return invalid("messages", text);
    }
    for (i, message) in messages.iter().enumerate() {
        // A control token in the text could impersonate another role, or refer to an image that
        // does not exist, which kills the engine.
        if let Some(token) = info
            .control_tokens
            .iter()
            .find(|t| message.text.contains(*t))
        {
            let text = format!("the text {token:?} is reserved by this model: remove it");
            return invalid(format!("messages[{i}].content"), text);
        }
        if message
            .images
            .iter()
            .any(|image| image.width() == 0 || image.height() == 0)
        {
            let text = "an image has no pixels: remove it";
            return invalid(format!("messages[{i}].content"), text);
        }
    }
    Ok(())
}

/// The maximum number of tokens to generate: the requested number, limited by the context length.
///
/// # Errors
/// Returns [`BackendError::Invalid`] if the prompt fills the context.
pub(super) fn token_limit(
    info: &ModelInfo,
    prompt: usize,
    asked: usize,
) -> Result<usize, BackendError> {
    let context = info.context;
    if prompt >= context {
        let text = format!(
            "the messages have {prompt} tokens, but the context of this model has {context}: \
             shorten them"
        );
        return invalid("messages", text);
    }
    Ok(asked.clamp(1, context - prompt))
}

fn invalid<T>(param: impl Into<String>, message: impl Into<String>) -> Result<T, BackendError> {
    Err(BackendError::Invalid {
        param: param.into(),
        message: message.into(),
    })
}
