//! The tests' own guard: it reads one header, and tells how each response ended.

use std::time::Duration;

use http::{HeaderValue, header::WWW_AUTHENTICATE};
use stockade_core::{
    Check, End, Guard, GuardLayer, Head, Hold, Never, Refusal, RefusalKind, Violation,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Who wears the badge `guest` may enter; `visitor` may later, any other one never.
pub(crate) struct Badge {
    ends: UnboundedSender<End>,
}

/// How the responses ended, in the order in which they did.
pub(crate) struct Outcomes(UnboundedReceiver<End>);

/// Where requests wear their badge.
pub(crate) const BADGE: &str = "x-badge";

/// The layer, and what it hears of its responses.
pub(crate) fn layer() -> (GuardLayer<Badge>, Outcomes) {
    let (ends, receiver) = unbounded_channel();
    (GuardLayer::new(Badge { ends }), Outcomes(receiver))
}

impl Outcomes {
    pub(crate) async fn next(&mut self) -> End {
        // Not a measure of anything: a hang becomes a failure.
        tokio::time::timeout(Duration::from_secs(30), self.0.recv())
            .await
            .expect("no response has ended")
            .expect("the guard is gone")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Guard for Badge {
    const NAME: &'static str = "badge";
    type Pass = ();
    type Hold = Report;
    type Wait = Never<()>;

    fn check(&self, head: &Head) -> Check<(), Never<()>> {
        Check::Refuse(match head.headers.get(BADGE).map(HeaderValue::as_bytes) {
            Some(b"guest") => return Check::Pass(()),
            Some(b"visitor") => Refusal::new(RefusalKind::RateLimited, "come back later")
                .retry_after(Duration::from_millis(6_500))
                .with_violation(Violation {
                    subject: "visitors".into(),
                    description: "the house is full".into(),
                }),
            Some(_) => Refusal::new(RefusalKind::Forbidden, "this badge opens other doors"),
            None => Refusal::new(
                RefusalKind::Unauthenticated,
                "a badge is needed – \u{1f6e1}",
            )
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Badge")),
        })
    }

    fn admit(&self, (): (), _head: &mut Head) -> Report {
        Report(self.ends.clone())
    }
}

pub(crate) struct Report(UnboundedSender<End>);

impl Hold for Report {
    fn end(self, end: End) {
        // A test that is over listens no more.
        let _ = self.0.send(end);
    }
}
