//! The largest body a handler reads.

use http::header::{CONTENT_LENGTH, HeaderValue};
use stockade_core::{Check, Guard, Head, Never, Refusal, RefusalKind};

/// Refuses a body that announces itself as too large, before a byte of it is read, and
/// tells the handler how much it may read of one that does not announce its length.
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
    type Hold = ();
    type Wait = Never<()>;

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

/// The server has refused what is no number; one that does not fit is too large.
fn parse_length(value: &HeaderValue) -> Option<usize> {
    let text = value.to_str().ok()?;
    Some(text.parse().unwrap_or(usize::MAX))
}
