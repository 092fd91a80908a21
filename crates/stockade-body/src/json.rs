//! The JSON grammar (RFC 8259), read once from the first byte to the last.

mod fault;
mod keys;
mod limits;
mod number;
mod scanner;
mod stack;
mod text;
mod tokens;
mod values;
mod visitor;

pub use limits::JsonLimits;

pub(crate) use keys::{Key, Known};
pub(crate) use number::Number;
pub(crate) use scanner::scan;
pub(crate) use text::Text;
pub(crate) use visitor::{Container, Scalar, Visitor};

#[cfg(test)]
mod tests;
