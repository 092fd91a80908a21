//! What is wrong with a JSON text.

use stockade_core::refusal::{Refusal, RefusalKind};

use crate::halt::Halt;

/// What is wrong with a JSON text, and where, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    pub(super) at: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// It is none; what the grammar wants is for the log.
    Syntax(&'static str),
    /// A number that readers may not be able to hold.
    Number,
    Depth(usize),
    Members(u32),
    Elements(u32),
    Values(u32),
    DuplicateKey,
}

impl FaultKind {
    pub(super) fn at(self, at: usize) -> Fault {
        Fault { kind: self, at }
    }
}

impl From<Fault> for Halt {
    #[cold]
    fn from(fault: Fault) -> Self {
        Self::Refused(fault.into())
    }
}

impl From<Fault> for Refusal {
    fn from(Fault { kind, at }: Fault) -> Self {
        let (code, message) = match kind {
            FaultKind::Syntax(_) => (
                "INVALID_JSON",
                format!("the body is not valid JSON at byte {at}"),
            ),
            FaultKind::Number => (
                "VALUE_OUT_OF_RANGE",
                "numbers must be between -1e308 and 1e308, in at most 1,024 bytes".to_owned(),
            ),
            FaultKind::Depth(limit) => (
                "TOO_DEEP",
                format!("the body is nested deeper than {limit} levels"),
            ),
            FaultKind::Members(limit) => (
                "TOO_MANY_ITEMS",
                format!("the object has more than {limit} members"),
            ),
            FaultKind::Elements(limit) => (
                "TOO_MANY_ITEMS",
                format!("the array has more than {limit} elements"),
            ),
            FaultKind::Values(limit) => (
                "TOO_MANY_ITEMS",
                format!("the body has more than {limit} values"),
            ),
            FaultKind::DuplicateKey => (
                "DUPLICATE_KEY",
                format!("the object that ends at byte {at} has two members of the same name"),
            ),
        };
        let refusal = Refusal::new(RefusalKind::Invalid, message).with_code(code);
        match kind {
            FaultKind::Syntax(wanted) => refusal.with_internal_reason(wanted),
            _ => refusal,
        }
    }
}
