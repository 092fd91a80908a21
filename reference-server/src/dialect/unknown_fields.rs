//! Unknown and ignored fields.
//!
//! By default they are refused, as OpenAI does, with the nearest known name: a misspelt
//! `max_token` must not cost a full-length completion, and clients that use extensions of other
//! servers notice immediately. If the operator ignores them, a response header lists their names.

use std::fmt::Write;

use http::{HeaderName, HeaderValue};
use stockade_core::refusal::{Refusal, RefusalKind};

use super::value_kind::ValueKind;
use crate::config::UnknownFields;

/// The response header with the names of the ignored fields.
pub(crate) const IGNORED_HEADER: HeaderName = HeaderName::from_static("x-stockade-ignored");

/// The maximum length of a field name that a response repeats.
const MAX_NAME: usize = 64;
/// The maximum number of names in the header.
const MAX_NAMES: usize = 16;

/// Refuses or ignores unknown fields, and collects the names of the ignored ones.
#[derive(Debug)]
pub(crate) struct UnknownFieldHandler {
    policy: UnknownFields,
    names: Vec<String>,
    /// The number of ignored fields that are not listed by name.
    unnamed: usize,
}

impl UnknownFieldHandler {
    pub(super) fn new(policy: UnknownFields) -> Self {
        Self {
            policy,
            names: Vec::new(),
            unnamed: 0,
        }
    }

    /// Handles an unknown field of the object at `path`, which is empty for the body.
    ///
    /// # Errors
    /// Returns a refusal that names the field, unless unknown fields are ignored.
    pub(super) fn handle(
        &mut self,
        name: &str,
        value: ValueKind,
        path: &str,
        known: impl Iterator<Item = &'static str>,
    ) -> Result<(), Refusal> {
        // Null counts as missing.
        if value == ValueKind::Null {
            return Ok(());
        }
        match self.policy {
            UnknownFields::Refuse => Err(refuse(name, path, known)),
            UnknownFields::Ignore => {
                self.ignore(name, path);
                Ok(())
            }
        }
    }

    /// Lists a field of the object at `path` that has no effect.
    pub(crate) fn ignore(&mut self, name: &str, path: &str) {
        if !is_plain(name) || self.names.len() == MAX_NAMES {
            self.unnamed += 1;
        } else {
            self.names.push(join(path, name));
        }
    }

    /// The value of [`IGNORED_HEADER`]; `None` if no field was ignored.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        if self.names.is_empty() && self.unnamed == 0 {
            return None;
        }
        let mut text = self.names.join(", ");
        if self.unnamed > 0 {
            let comma = if text.is_empty() { "" } else { ", " };
            // Writing to a `String` cannot fail.
            let _ = write!(text, "{comma}+{}", self.unnamed);
        }
        // Always valid, because the names are plain.
        HeaderValue::try_from(text).ok()
    }
}

fn refuse(name: &str, path: &str, known: impl Iterator<Item = &'static str>) -> Refusal {
    let invalid = |text: String| Refusal::new(RefusalKind::Invalid, text);
    if !is_plain(name) {
        let text = "unknown parameter, whose name is too long or unusual to repeat";
        let refusal = invalid(text.to_owned()).with_code("UNKNOWN_PARAMETER");
        return match path {
            "" => refusal,
            path => refusal.with_param(path.to_owned()),
        };
    }
    unknown_parameter(join(path, name), nearest(name, known))
}

/// The known name that an unknown one misspells, if there is one.
pub(crate) fn nearest(
    name: &str,
    known: impl Iterator<Item = &'static str>,
) -> Option<&'static str> {
    let distances = known.map(|known| (strsim::osa_distance(name, known), known));
    let (distance, known) = distances.min()?;
    (distance <= 2).then_some(known)
}

/// The refusal of an unknown field.
pub(crate) fn unknown_parameter(param: String, meant: Option<&str>) -> Refusal {
    let hint = meant.map_or(String::new(), |meant| format!("; did you mean `{meant}`?"));
    let text = format!("unknown parameter: `{param}`{hint}");
    Refusal::new(RefusalKind::Invalid, text)
        .with_code("UNKNOWN_PARAMETER")
        .with_param(param)
}

/// Whether a name is safe to repeat in headers, logs and terminals.
pub(crate) fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

/// The path of a field of the object at `path`, which is empty for the body.
pub(super) fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(names: &[&str]) -> String {
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Ignore);
        for name in names {
            let known = ["model"].into_iter();
            unknown.handle(name, ValueKind::One, "", known).unwrap();
        }
        let value = unknown.header();
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    }

    // FH09
    #[test]
    fn header_is_bounded_and_has_plain_names_only() {
        assert_eq!(header(&[]), "");
        assert_eq!(header(&["top_k", "min-p"]), "top_k, min-p");
        assert_eq!(header(&["a\r\nset-cookie: x", "ok"]), "ok, +1");
        assert_eq!(header(&["é"]), "+1");
        assert_eq!(header(&[&"n".repeat(65)]), "+1");
        let many = header(&["n".repeat(64).as_str(); 30]);
        assert!(many.len() < 1_100, "{}", many.len());
        assert!(many.ends_with(", +14"), "{many}");
    }

    #[test]
    fn refuses_an_unusual_name_without_repeating_it() {
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Refuse);
        let known = ["model"].into_iter();
        let refusal = unknown.handle("a\u{1b}[2J", ValueKind::One, "messages[0]", known);
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.param(), Some("messages[0]"));
        assert!(!refusal.message().contains('\u{1b}'));
    }
}
