//! The requests that are compared.

use std::{fmt, io::Cursor};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ImageFormat, Rgb, RgbImage};
use serde::Serialize;

/// The events of a stream.
pub(crate) const EVENTS: usize = 32;

/// Whether the answer is one object or a stream of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Kind {
    Json,
    Sse,
}

/// The size of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum Size {
    /// 1 KB of text.
    Small,
    /// A text and a picture: 400 KB.
    Large,
}

/// A load on a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Case {
    pub(crate) kind: Kind,
    pub(crate) size: Size,
    pub(crate) connections: u16,
    /// The mean pause of a connection between two requests, in milliseconds; without one, each
    /// connection sends its next request at once.
    pub(crate) pause: Option<u16>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Json => "JSON",
            Kind::Sse => "SSE",
        };
        let size = match self.size {
            Size::Small => "1 KB",
            Size::Large => "400 KB",
        };
        write!(f, "{kind}, {size}, {}", self.connections)?;
        match self.pause {
            Some(pause) => write!(f, ", {}/s", 1_000 * self.connections / pause),
            None => Ok(()),
        }
    }
}

/// A chat whose answer has one object, or this number of events with a pause in between.
pub(crate) fn body(kind: Kind, size: Size, events: usize, pause: u16) -> String {
    let stream = match kind {
        Kind::Json => String::new(),
        Kind::Sse => {
            format!(r#""stream":true,"stream_options":{{"include_usage":true}},"seed":{pause},"#)
        }
    };
    let content = match size {
        Size::Small => format!("\"{}\"", "What is noise? ".repeat(56)),
        Size::Large => format!(
            r#"[{{"type":"text","text":"What is this?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{}"}}}}]"#,
            STANDARD.encode(png())
        ),
    };
    format!(
        r#"{{"model":"bench",{stream}"max_tokens":{events},"messages":[{{"role":"user","content":{content}}}]}}"#
    )
}

/// A PNG of noise, which does not compress: 300 KB.
fn png() -> Vec<u8> {
    let mut state = 1_u32;
    let noise = |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [red, green, blue, _] = state.rotate_left(11).to_be_bytes();
        Rgb([red, green, blue])
    };
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_fn(316, 316, noise)
        .write_to(&mut png, ImageFormat::Png)
        .expect("an image can be written to memory");
    png.into_inner()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_their_sizes() {
        for kind in [Kind::Json, Kind::Sse] {
            for (size, expected) in [(Size::Small, 900..1_100), (Size::Large, 390_000..410_000)] {
                let body = body(kind, size, EVENTS, 0);
                assert!(expected.contains(&body.len()), "{}", body.len());
                let value: serde_json::Value = serde_json::from_str(&body).unwrap();
                assert_eq!(value["max_tokens"], EVENTS);
                assert_eq!(value["stream"] == true, kind == Kind::Sse);
            }
        }
    }
}
