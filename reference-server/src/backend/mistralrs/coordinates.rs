//! Maps click coordinates in an answer from the image that the model sees to the image of the
//! request.
//!
//! 1. The image is the last one of the chat that the model sees.
//! 2. In a text, `Click(x, y)` is mapped, unless a letter, a digit or `_` precedes it.
//! 3. In JSON under a declared schema (`response_format` of the type `json_schema`, and the
//!    arguments of tools), numbers named `x` or `y` are mapped, and arrays of numbers named `bbox`,
//!    `bbox_2d` (four numbers), `coordinate`, `point` or `point_2d` (two).
//! 4. The result is rounded to the decimals that the model wrote, and clamped into the image.
//!    Nothing else changes.
//!
//! A stream holds back only what may be part of a click.

use super::image::Geometry;

mod click;
mod json;

use click::ClickMapper;
use json::JsonMapper;

/// The longest number that is mapped, in bytes.
const MAX_NUMBER: usize = 24;

/// The sizes of an image in the request and for the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CoordinateSpace {
    width: AxisScale,
    height: AxisScale,
}

/// The mapping along an axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct AxisScale {
    /// The size that the model sees.
    shown: u32,
    /// The same size in pixels of the request, with padding.
    padded: u32,
    /// The size in the request.
    original: u32,
}

/// An axis of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    X,
    Y,
}

/// What a coordinate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A pixel.
    Pixel,
    /// An edge of a box, which may be the end of the image.
    Edge,
}

impl CoordinateSpace {
    /// The coordinates of an image.
    pub(super) fn of(image: &Geometry) -> Self {
        let axis = |shown, padded, original| AxisScale {
            shown,
            padded,
            original,
        };
        let (shown, padded, original) = (image.layout.shown, image.layout.padded, image.original);
        Self {
            width: axis(shown.0, padded.0, original.0),
            height: axis(shown.1, padded.1, original.1),
        }
    }

    /// Maps a number as the model wrote it; `None` if it is not a number.
    fn map(&self, axis: Axis, place: Place, number: &str) -> Option<String> {
        if number.len() > MAX_NUMBER || !is_number(number) {
            return None;
        }
        let AxisScale {
            shown,
            padded,
            original,
        } = match axis {
            Axis::X => self.width,
            Axis::Y => self.height,
        };
        let max = match place {
            Place::Pixel => original.saturating_sub(1),
            Place::Edge => original,
        };
        let value: f64 = number.parse().ok()?;
        let mapped = value * f64::from(padded) / f64::from(shown.max(1));
        // The sum has no negative zero.
        let mapped = mapped.clamp(0.0, f64::from(max)) + 0.0;
        let decimals = match number.split_once('.') {
            Some((_, decimals)) => decimals.bytes().take_while(u8::is_ascii_digit).count(),
            None => 0,
        };
        Some(format!("{mapped:.decimals$}"))
    }
}

/// Whether this is a number of JSON.
fn is_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let starts_with_digit = unsigned.starts_with(|first: char| first.is_ascii_digit());
    starts_with_digit && unsigned.parse::<f64>().is_ok_and(f64::is_finite)
}

/// Maps the coordinates in the answer of a choice.
#[derive(Clone, Debug)]
pub(super) struct CoordinateMapper {
    space: CoordinateSpace,
    text: TextMapper,
    /// The arguments of the last tool call.
    arguments: JsonMapper,
}

#[derive(Clone, Debug)]
enum TextMapper {
    Clicks(ClickMapper),
    Json(JsonMapper),
}

impl CoordinateMapper {
    /// Creates the mapper of a choice; `is_json` if its text is JSON under a declared schema.
    pub(super) fn new(space: CoordinateSpace, is_json: bool) -> Self {
        Self {
            space,
            text: match is_json {
                true => TextMapper::Json(JsonMapper::new(space)),
                false => TextMapper::Clicks(ClickMapper::new(space)),
            },
            arguments: JsonMapper::new(space),
        }
    }

    /// Adds text; returns the part that is complete.
    pub(super) fn text(&mut self, text: &str) -> String {
        match &mut self.text {
            TextMapper::Clicks(mapper) => mapper.push(text),
            TextMapper::Json(mapper) => mapper.push(text),
        }
    }

    /// The length of the text that is held back.
    pub(super) fn held(&self) -> usize {
        match &self.text {
            TextMapper::Clicks(mapper) => mapper.held(),
            TextMapper::Json(mapper) => mapper.held(),
        }
    }

    /// Ends the text; returns what was held back.
    pub(super) fn end_text(&mut self) -> String {
        match &mut self.text {
            TextMapper::Clicks(mapper) => mapper.finish(),
            TextMapper::Json(mapper) => mapper.finish(),
        }
    }

    /// Adds arguments of a tool call; returns the part that is complete.
    pub(super) fn arguments(&mut self, text: &str) -> String {
        self.arguments.push(text)
    }

    /// Ends the arguments of a tool call; returns what was held back.
    pub(super) fn end_arguments(&mut self) -> String {
        let rest = self.arguments.finish();
        self.arguments = JsonMapper::new(self.space);
        rest
    }
}

#[cfg(test)]
mod tests;
