//! The maximum size of a request body.

use http::header::{CONTENT_LENGTH, HeaderValue};
use stockade_core::{
    guard::{Check, Guard, Head, NoWait},
    refusal::{Refusal, RefusalKind},
};

/// Refuses a body whose declared length exceeds the limit before any of it is read, and passes
/// the limit on to the handler for bodies without a declared length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BodyLimit {
    mebibytes: usize,
}

impl BodyLimit {
    pub(crate) fn mebibytes(mebibytes: usize) -> Self {
        Self { mebibytes }
    }

    pub(crate) fn bytes(self) -> usize {
        self.mebibytes.saturating_mul(1024 * 1024)
    }

    pub(crate) fn refusal(self) -> Refusal {
        let text = format!("the body is larger than {} MiB", self.mebibytes);
        Refusal::new(RefusalKind::TooLarge, text)
    }
}

impl Guard for BodyLimit {
    const NAME: &'static str = "body_limit";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        let declared = head.headers.get(CONTENT_LENGTH).and_then(parse_length);
        if declared.is_some_and(|length| length > self.bytes()) {
            return Check::Refuse(self.refusal());
        }
        Check::Pass(())
    }

    fn admit(&self, (): (), head: &mut Head) {
        head.extensions.insert(*self);
    }
}

/// Parses a `Content-Length`. hyper has already rejected invalid values, so a value that does
/// not parse is too large for `usize`.
fn parse_length(value: &HeaderValue) -> Option<usize> {
    let text = value.to_str().ok()?;
    Some(text.parse().unwrap_or(usize::MAX))
}
