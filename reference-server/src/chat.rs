//! The canonical form of a chat, which all dialects and backends share.
//!
//! ```text
//! chat completions ─┐                ┌─ the engine
//! completions ──────┤                │
//! responses ────────┼─ ChatRequest ──┤
//! messages ─────────┘                └─ an upstream that speaks another dialect
//! ```
//!
//! A backend answers with [`Event`]s, which the dialect of the request writes as an object or as
//! server-sent events. [`Completion`] collects the events of a response that is not streamed.

mod completion;
mod event;
mod image;
mod image_report;
mod message;
mod request;

pub use completion::{Choice, Completion};
pub use event::{Event, FinishReason, TokenLogprob, TopLogprob, Usage};
pub use image::Image;
#[cfg(feature = "mistralrs")]
pub(crate) use image::MAX_PIXELS;
pub(crate) use image::{EncodedImage, ImageRejection};
pub use image_report::{ImagePixels, ImageReport, ImageSize};
pub use message::{Message, Part, Role, ToolCall};
pub use request::{ChatRequest, ReasoningEffort, ResponseFormat, Sampling, Tool, ToolChoice};
