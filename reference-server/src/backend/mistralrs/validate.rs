//! What a loaded model refuses in a chat.

use super::{BackendError, Message, engine::ModelInfo, model_dir::Modality, quirks};

/// Refuses messages the model cannot take.
///
/// # Errors
/// [`BackendError::Invalid`].
pub(super) fn messages(info: &ModelInfo, messages: &[Message]) -> Result<(), BackendError> {
    let images: usize = messages.iter().map(|message| message.images.len()).sum();
    if images > 0 && info.modality == Modality::Text {
        return invalid(
            "messages",
            "this model reads text only: leave the images out",
        );
    }
    if images > quirks::MAX_IMAGES {
        let max = quirks::MAX_IMAGES;
        let text = format!("{images} images, but this model takes at most {max} in a chat");
        return invalid("messages", text);
    }
    for (i, message) in messages.iter().enumerate() {
        // Text that reads as a control token would speak for another role, or claim an
        // image that is not there, which the engine does not survive.
        if let Some(token) = info
            .control_tokens
            .iter()
            .find(|t| message.text.contains(*t))
        {
            let text = format!("the text {token:?} is reserved by this model: take it out");
            return invalid(format!("messages[{i}].content"), text);
        }
        if message
            .images
            .iter()
            .any(|image| image.width() == 0 || image.height() == 0)
        {
            let text = "an image has no pixels: leave it out";
            return invalid(format!("messages[{i}].content"), text);
        }
    }
    Ok(())
}

/// How many tokens may be made: what was asked for, as far as the context has room.
///
/// # Errors
/// [`BackendError::Invalid`] if there is no room at all.
pub(super) fn token_limit(
    info: &ModelInfo,
    prompt: usize,
    asked: usize,
) -> Result<usize, BackendError> {
    let context = info.context;
    if prompt >= context {
        let text = format!(
            "the messages are {prompt} tokens, but this model takes {context} with its answer: \
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
