//! The refusals of forms.

use stockade_core::refusal::Refusal;

use super::invalid;

pub(crate) fn duplicate_field() -> Refusal {
    invalid("DUPLICATE_KEY", "the form has two fields with this name")
}

pub(crate) fn invalid_form() -> Refusal {
    invalid("INVALID_FORM", "the body is not a valid multipart form")
}

pub(crate) fn nameless_field() -> Refusal {
    invalid("INVALID_FORM", "a field of the form has no name")
}

pub(crate) fn not_utf8() -> Refusal {
    invalid("VALIDATION_ERROR", "the value is not UTF-8")
}
