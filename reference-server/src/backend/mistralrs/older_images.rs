//! Replaces older images of a chat that the engine cannot show to the model.

use super::{Message, Part};

/// Replaces all but the newest `max` images by texts; returns the number of replaced ones.
pub(super) fn drop_older(messages: &mut [Message], max: usize) -> usize {
    let count = messages.iter().flat_map(Message::images).count();
    let dropped = count.saturating_sub(max);
    let parts = messages.iter_mut().flat_map(|message| &mut message.parts);
    let images = parts.filter(|part| matches!(part, Part::Image(_)));
    for (at, image) in images.take(dropped).enumerate() {
        *image = Part::Text(format!("[image {} is no longer shown]", at + 1));
    }
    dropped
}
