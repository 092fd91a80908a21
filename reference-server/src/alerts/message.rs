//! What is reported, and its form for destinations.

use serde::{Deserialize, Serialize};
use serde_json::json;
use stockade_server_config::{AlertCondition, AlertSeverity};

/// Whether a condition has begun or ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Firing,
    Resolved,
}

/// What the ledger reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) condition: AlertCondition,
    pub(super) status: Status,
    /// The key, client, source, …; empty for the server as a whole.
    pub(super) subject: String,
    pub(super) detail: String,
    /// How often the same was not reported since the last message.
    pub(super) suppressed: u64,
}

/// A message for a destination, in the form of each attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Message {
    /// The same for all attempts, by which receivers detect repetitions.
    pub(super) id: String,
    /// `None` for a test.
    pub(super) condition: Option<AlertCondition>,
    /// Seconds since 1970.
    pub(super) queued_at: u64,
    /// JSON.
    pub(super) body: String,
}

impl Message {
    pub(super) fn new(alert: &Alert, instance: &str, now: u64) -> Self {
        let status = match alert.status {
            Status::Firing => "firing",
            Status::Resolved => "resolved",
        };
        let condition = alert.condition;
        let body = json!({
            "type": format!("stockade.alert.{status}"),
            "timestamp": rfc3339(now),
            "data": {
                "condition": condition.name(),
                "severity": condition.severity(),
                "summary": condition.summary(),
                "subject": alert.subject,
                "detail": alert.detail,
                "suppressed": alert.suppressed,
                "instance": instance,
            },
        });
        Self::with_body(Some(condition), &body, now)
    }

    /// A message that shows whether a destination is reachable.
    pub(super) fn test(instance: &str, now: u64) -> Self {
        let body = json!({
            "type": "stockade.alert.test",
            "timestamp": rfc3339(now),
            "data": {
                "condition": "StockadeTest",
                "severity": AlertSeverity::Info,
                "summary": "A test of the destinations of alerts",
                "subject": "",
                "detail": "sent by: stockade-server alerts test",
                "suppressed": 0,
                "instance": instance,
            },
        });
        Self::with_body(None, &body, now)
    }

    fn with_body(condition: Option<AlertCondition>, body: &serde_json::Value, now: u64) -> Self {
        Self {
            id: format!("msg_{:032x}", rand::random::<u128>()),
            condition,
            queued_at: now,
            body: body.to_string(),
        }
    }

    /// Counts the outcome of the message.
    pub(super) fn count(&self, result: &'static str) {
        if let Some(condition) = self.condition {
            super::count(condition, result);
        }
    }
}

fn rfc3339(secs: u64) -> String {
    let secs = i64::try_from(secs).unwrap_or(i64::MAX);
    let at = jiff::Timestamp::from_second(secs);
    at.unwrap_or(jiff::Timestamp::MAX).to_string()
}
