//! A single-pass JSON scanner (RFC 8259).

mod cursor;
mod duplicates;
mod error;
mod escape;
mod limits;
mod number;
mod plain;
mod scanner;
mod text;
mod value_counter;
mod visitor;

pub use limits::JsonLimits;

pub(crate) use cursor::Cursor;
pub(crate) use duplicates::KnownMember;
pub(crate) use number::Number;
pub(crate) use scanner::scan;
pub(crate) use text::Text;
pub(crate) use visitor::{Container, Scalar, Visitor};

#[cfg(test)]
mod tests;
