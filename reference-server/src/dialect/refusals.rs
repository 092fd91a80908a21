//! Refusals of fields.

use stockade_core::refusal::{Refusal, RefusalKind};

/// The refusal of a request without this field.
pub(crate) fn missing(param: impl Into<String>) -> Refusal {
    let param = param.into();
    Refusal::new(RefusalKind::Invalid, format!("`{param}` is missing")).with_param(param)
}

/// The refusal of a field's value.
pub(super) fn invalid(param: impl Into<String>, text: impl AsRef<str>) -> Refusal {
    let param = param.into();
    let text = format!("`{param}`: {}", text.as_ref());
    Refusal::new(RefusalKind::Invalid, text).with_param(param)
}

/// The refusal of a feature that this server does not have.
pub(super) fn unsupported(param: impl Into<String>, text: impl AsRef<str>) -> Refusal {
    invalid(param, text).with_code("UNSUPPORTED_PARAMETER")
}
