//! Maps the coordinates in JSON.

use super::{Axis, CoordinateSpace, MAX_NUMBER, Place};

/// The longest array that is mapped, in bytes.
const MAX_ARRAY: usize = 256;

/// Maps the coordinates of a JSON text, in pieces.
#[derive(Clone, Debug)]
pub(super) struct JsonMapper {
    space: CoordinateSpace,
    /// The objects and arrays around the current place.
    containers: Vec<Container>,
    string: Option<StringState>,
    /// The name of the next value, if it may be one of a coordinate.
    name: Option<String>,
    /// What may be part of a coordinate.
    held: Option<(Held, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    /// An object; before a name, or before a value.
    Object {
        expects_name: bool,
    },
    Array,
}

/// The state inside a string.
#[derive(Clone, Debug)]
struct StringState {
    is_escaped: bool,
    /// The text of a name; `None` for a value and for a long name.
    name: Option<String>,
}

/// The kind of the value that is held back.
#[derive(Clone, Copy, Debug)]
enum Held {
    /// A number.
    Number(Axis),
    /// An array with this number of numbers.
    Array(usize, Place),
}

impl JsonMapper {
    pub(super) fn new(space: CoordinateSpace) -> Self {
        Self {
            space,
            containers: Vec::new(),
            string: None,
            name: None,
            held: None,
        }
    }

    pub(super) fn push(&mut self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match &mut self.string {
                Some(_) => self.in_string(c, &mut out),
                None => self.outside(c, &mut out),
            }
        }
        out
    }

    pub(super) fn held(&self) -> usize {
        self.held.as_ref().map_or(0, |(_, text)| text.len())
    }

    /// Ends the text. An incomplete value is unchanged.
    pub(super) fn finish(&mut self) -> String {
        self.held.take().map_or_else(String::new, |(_, text)| text)
    }

    fn in_string(&mut self, c: char, out: &mut String) {
        /// All names of coordinates are shorter.
        const MAX_NAME: usize = 16;

        out.push(c);
        let Some(string) = &mut self.string else {
            return;
        };
        if string.is_escaped {
            string.is_escaped = false;
            return;
        }
        match c {
            // No name of a coordinate needs an escape.
            '\\' => {
                string.is_escaped = true;
                string.name = None;
            }
            '"' => {
                self.name = string.name.take();
                self.string = None;
            }
            c => match &mut string.name {
                Some(name) if name.len() < MAX_NAME => name.push(c),
                name => *name = None,
            },
        }
    }

    fn outside(&mut self, c: char, out: &mut String) {
        if let Some((kind, mut text)) = self.held.take() {
            match kind {
                Held::Number(_) if is_in_number(c) && text.len() < MAX_NUMBER => {
                    text.push(c);
                    self.held = Some((kind, text));
                    return;
                }
                Held::Number(axis) => {
                    let mapped = self.space.map(axis, Place::Pixel, &text);
                    out.push_str(&mapped.unwrap_or(text));
                }
                Held::Array(count, place) if c == ']' => {
                    let mapped = self.array(&text[1..], count, place);
                    out.push_str(&mapped.unwrap_or(text));
                    out.push(c);
                    return;
                }
                Held::Array(..) if is_in_array(c) && text.len() < MAX_ARRAY => {
                    text.push(c);
                    self.held = Some((kind, text));
                    return;
                }
                Held::Array(..) => {
                    self.containers.push(Container::Array);
                    out.push_str(&text);
                }
            }
        }
        self.structure(c, out);
    }

    fn structure(&mut self, c: char, out: &mut String) {
        let in_object = matches!(
            self.containers.last(),
            Some(Container::Object {
                expects_name: false
            })
        );
        let name = self.name.as_deref().filter(|_| in_object);
        match c {
            '"' => {
                let is_name = matches!(
                    self.containers.last(),
                    Some(Container::Object { expects_name: true })
                );
                self.string = Some(StringState {
                    is_escaped: false,
                    name: is_name.then(String::new),
                });
            }
            '{' => self
                .containers
                .push(Container::Object { expects_name: true }),
            '[' => match name.and_then(array_kind) {
                Some(kind) => {
                    self.held = Some((kind, c.to_string()));
                    self.name = None;
                    return;
                }
                None => self.containers.push(Container::Array),
            },
            '}' | ']' => {
                self.containers.pop();
            }
            ',' => self.expect_name(true),
            ':' => {
                // The name still counts.
                self.expect_name(false);
                out.push(c);
                return;
            }
            '-' | '0'..='9' => {
                let axis = match name {
                    Some("x") => Some(Axis::X),
                    Some("y") => Some(Axis::Y),
                    _ => None,
                };
                if let Some(axis) = axis {
                    self.held = Some((Held::Number(axis), c.to_string()));
                    self.name = None;
                    return;
                }
            }
            c if c.is_ascii_whitespace() => {
                out.push(c);
                return;
            }
            _ => {}
        }
        self.name = None;
        out.push(c);
    }

    fn expect_name(&mut self, expected: bool) {
        if let Some(Container::Object { expects_name }) = self.containers.last_mut() {
            *expects_name = expected;
        }
    }

    /// Maps the numbers of an array; `None` if it has another number of them.
    fn array(&self, text: &str, count: usize, place: Place) -> Option<String> {
        let numbers: Vec<&str> = text.split(',').collect();
        if numbers.len() != count {
            return None;
        }
        let axes = [Axis::X, Axis::Y].into_iter().cycle();
        let mut mapped = "[".to_owned();
        for (at, (text, axis)) in numbers.into_iter().zip(axes).enumerate() {
            if at > 0 {
                mapped.push(',');
            }
            let number = text.trim();
            // The spaces around the number are kept.
            let (before, after) = text.split_once(number)?;
            mapped.push_str(before);
            mapped.push_str(&self.space.map(axis, place, number)?);
            mapped.push_str(after);
        }
        Some(mapped)
    }
}

fn array_kind(name: &str) -> Option<Held> {
    match name {
        "bbox" | "bbox_2d" => Some(Held::Array(4, Place::Edge)),
        "coordinate" | "point" | "point_2d" => Some(Held::Array(2, Place::Pixel)),
        _ => None,
    }
}

fn is_in_number(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E')
}

fn is_in_array(c: char) -> bool {
    is_in_number(c) || c == ',' || c.is_ascii_whitespace()
}
