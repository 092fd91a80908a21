//! JSON errors.

use stockade_core::refusal::{Refusal, RefusalKind};

use crate::scan_error::ScanError;

/// A JSON error and its byte offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) kind: JsonErrorKind,
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JsonErrorKind {
    /// A syntax error, with the expected token for the log.
    Syntax(&'static str),
    /// A number that some readers cannot represent.
    Number,
    Depth(usize),
    Members(u32),
    Elements(u32),
    ValueCounter(u32),
    DuplicateKey,
}

impl JsonErrorKind {
    pub(super) fn at(self, at: usize) -> JsonError {
        JsonError { kind: self, at }
    }
}

impl From<JsonError> for ScanError {
    #[cold]
    fn from(error: JsonError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<JsonError> for Refusal {
    fn from(JsonError { kind, at }: JsonError) -> Self {
        let (code, message) = match kind {
            JsonErrorKind::Syntax(_) => (
                "INVALID_JSON",
                format!("the body is not valid JSON at byte {at}"),
            ),
            JsonErrorKind::Number => (
                "VALUE_OUT_OF_RANGE",
                "numbers must be between -1e308 and 1e308, in at most 1,024 bytes".to_owned(),
            ),
            JsonErrorKind::Depth(limit) => (
                "TOO_DEEP",
                format!("the body is nested deeper than {limit} levels"),
            ),
            JsonErrorKind::Members(limit) => (
                "TOO_MANY_ITEMS",
                format!("the object has more than {limit} members"),
            ),
            JsonErrorKind::Elements(limit) => (
                "TOO_MANY_ITEMS",
                format!("the array has more than {limit} elements"),
            ),
            JsonErrorKind::ValueCounter(limit) => (
                "TOO_MANY_ITEMS",
                format!("the body has more than {limit} values"),
            ),
            JsonErrorKind::DuplicateKey => (
                "DUPLICATE_KEY",
                format!("the object that ends at byte {at} has two members with the same name"),
            ),
        };
        let refusal = Refusal::new(RefusalKind::Invalid, message).with_code(code);
        match kind {
            JsonErrorKind::Syntax(wanted) => refusal.with_internal_reason(wanted),
            _ => refusal,
        }
    }
}
