//! Fields with names that this API does not know.
//!
//! By default they are refused as OpenAI's own server refuses them, with the nearest known
//! name: a misspelt `max_token` must not cost a full-length answer, and clients that send
//! other servers' extensions notice at once. Where the operator has them ignored, the answer
//! says which ones were.

use std::fmt::Write;

use http::{HeaderName, HeaderValue};
use stockade_core::{Refusal, RefusalKind};

use super::body::ValueKind;
use crate::config::UnknownFields;

/// Names the fields that were ignored.
pub(super) const IGNORED_HEADER: HeaderName = HeaderName::from_static("x-stockade-ignored");

/// The longest name of a field that is repeated to the client.
const MAX_NAME: usize = 64;
/// The most names in the header.
const MAX_NAMES: usize = 16;

/// What becomes of unknown fields, and which ones there were.
#[derive(Debug)]
pub(super) struct UnknownFieldHandler {
    policy: UnknownFields,
    names: Vec<String>,
    /// Those that are not named.
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

    /// Judges an unknown field of the object at this path, which is empty for the body.
    ///
    /// # Errors
    /// A refusal that names it, unless unknown fields are ignored.
    pub(super) fn handle(
        &mut self,
        name: &str,
        value: ValueKind,
        path: &str,
        known: impl Iterator<Item = &'static str>,
    ) -> Result<(), Refusal> {
        // As good as absent.
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

    fn ignore(&mut self, name: &str, path: &str) {
        if !is_plain(name) || self.names.len() == MAX_NAMES {
            self.unnamed += 1;
        } else {
            self.names.push(join(path, name));
        }
    }

    /// The value of [`IGNORED_HEADER`]; `None` if no field was ignored.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        if self.names.is_empty() && self.unnamed == 0 {
            return None;
        }
        let mut text = self.names.join(", ");
        if self.unnamed > 0 {
            let comma = if text.is_empty() { "" } else { ", " };
            // A string takes every text.
            let _ = write!(text, "{comma}+{}", self.unnamed);
        }
        // Plain names only, so it always is one.
        HeaderValue::try_from(text).ok()
    }
}

fn refuse(name: &str, path: &str, known: impl Iterator<Item = &'static str>) -> Refusal {
    let invalid = |text: String| Refusal::new(RefusalKind::Invalid, text);
    if !is_plain(name) {
        let text = "a field is not known, and its name is too long or too odd to repeat";
        let refusal = invalid(text.to_owned()).with_code("UNKNOWN_PARAMETER");
        return match path {
            "" => refusal,
            path => refusal.with_param(path.to_owned()),
        };
    }
    let nearest = known
        .map(|known| (strsim::osa_distance(name, known), known))
        .min()
        .filter(|(distance, _)| *distance <= 2);
    let hint = nearest.map_or(String::new(), |(_, known)| {
        format!("; did you mean `{known}`?")
    });
    let param = join(path, name);
    invalid(format!("unknown parameter: `{param}`{hint}"))
        .with_code("UNKNOWN_PARAMETER")
        .with_param(param)
}

/// Whether it can be repeated anywhere: in a header, in a log, on a terminal.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    (1..=MAX_NAME).contains(&name.len()) && name.bytes().all(plain)
}

fn join(path: &str, name: &str) -> String {
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
    fn the_header_is_bounded_and_has_plain_names_only() {
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
    fn an_odd_name_is_refused_without_repeating_it() {
        let mut unknown = UnknownFieldHandler::new(UnknownFields::Refuse);
        let known = ["model"].into_iter();
        let refusal = unknown.handle("a\u{1b}[2J", ValueKind::One, "messages[0]", known);
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.param(), Some("messages[0]"));
        assert!(!refusal.message().contains('\u{1b}'));
    }
}
