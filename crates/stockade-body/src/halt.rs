//! Why a body is not judged to its end.

use stockade_core::refusal::Refusal;

use crate::{ImageError, effort::Spent};

/// Why a body is not judged to its end.
#[derive(Debug)]
pub(crate) enum Halt {
    /// It breaks a rule.
    Refused(Refusal),
    /// It takes more [`Effort`](crate::effort::Effort) than there was. Nothing is known yet.
    Spent,
}

impl From<Refusal> for Halt {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<ImageError> for Halt {
    fn from(error: ImageError) -> Self {
        Self::Refused(error.into())
    }
}

impl From<Spent> for Halt {
    fn from(Spent: Spent) -> Self {
        Self::Spent
    }
}
