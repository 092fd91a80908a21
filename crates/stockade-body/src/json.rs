//! The JSON grammar (RFC 8259), read once from the first byte to the last.

mod fault;
mod keys;
mod limits;
mod number;
mod scanner;
mod text;

pub use limits::JsonLimits;

pub(crate) use keys::{Key, Known};
pub(crate) use number::Number;
pub(crate) use scanner::{Container, Scalar, Visitor, scan};
pub(crate) use text::Text;

#[cfg(test)]
mod tests;
