//! A guard for the tests: it reads one header and reports the outcome of each response.

use std::time::Duration;

use http::{HeaderValue, header::WWW_AUTHENTICATE};
use stockade_core::{
    guard::{Check, Guard, GuardLayer, Head, NoWait, Outcome, ResponseHook},
    refusal::{Refusal, RefusalKind, Violation},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Allows the badge `guest`, rate-limits `visitor` and forbids any other one.
pub(crate) struct Badge {
    ends: UnboundedSender<Outcome>,
}

/// The outcomes of the responses, in order.
pub(crate) struct Outcomes(UnboundedReceiver<Outcome>);

/// The header with the badge.
pub(crate) const BADGE: &str = "x-badge";

/// Returns the layer and the outcomes of its responses.
pub(crate) fn layer() -> (GuardLayer<Badge>, Outcomes) {
    let (ends, receiver) = unbounded_channel();
    (GuardLayer::new(Badge { ends }), Outcomes(receiver))
}

impl Outcomes {
    pub(crate) async fn next(&mut self) -> Outcome {
        // Turns a hang into a failure.
        tokio::time::timeout(Duration::from_secs(30), self.0.recv())
            .await
            .expect("no response has ended")
            .expect("the guard was dropped")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Guard for Badge {
    const NAME: &'static str = "badge";
    type Pass = ();
    type Hook = Report;
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), NoWait> {
        Check::Refuse(match head.headers.get(BADGE).map(HeaderValue::as_bytes) {
            Some(b"guest") => return Check::Pass(()),
            Some(b"visitor") => Refusal::new(RefusalKind::RateLimited, "come back later")
                .retry_after(Duration::from_millis(6_500))
                .with_violation(Violation {
                    subject: "visitors".into(),
                    description: "the house is full".into(),
                }),
            Some(_) => Refusal::new(RefusalKind::Forbidden, "this badge is not valid here"),
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

pub(crate) struct Report(UnboundedSender<Outcome>);

impl ResponseHook for Report {
    fn on_end(self, end: Outcome) {
        // The receiver is dropped when the test has ended.
        let _ = self.0.send(end);
    }
}
