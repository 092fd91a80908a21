//! Which records are looked at.

use clap::Args;
use stockade_audit::LogLine;
use stockade_core::{Clock, SystemClock};

use super::condition::Condition;
use crate::moment::{Since, recorded};

/// What is asked of a record, on the command line.
#[derive(Args, Clone, Debug)]
pub(super) struct FilterArgs {
    /// Only records with this value, such as `status=4xx`, `guard=rate_limit`, `level=error`
    /// or `model=qwen*`; one of the values where a field is named twice
    #[arg(long = "filter", value_name = "FIELD=VALUE")]
    conditions: Vec<Condition>,
    /// Only requests of this principal
    #[arg(long, value_name = "ID", value_parser = on("user"))]
    user: Vec<Condition>,
    /// Only requests of this route, as the router writes it
    #[arg(long, value_name = "ROUTE", value_parser = on("route"))]
    route: Vec<Condition>,
    /// Only requests from this address or network
    #[arg(long, value_name = "ADDRESS", value_parser = on("ip"))]
    ip: Vec<Condition>,
    /// Only requests that ended so: completed, failed or client_left
    #[arg(long, value_name = "OUTCOME", value_parser = on("outcome"))]
    outcome: Vec<Condition>,
    /// Only records since then: `15m` ago, a day (`2026-01-31`) or a time in RFC 3339
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
}

/// Reads the value of a condition on this field.
fn on(field: &'static str) -> impl Fn(&str) -> Result<Condition, String> + Clone + Send + Sync {
    move |value| Condition::new(field, value)
}

/// What is asked of a record.
#[derive(Debug)]
pub(super) struct Filter {
    conditions: Vec<Condition>,
    since: Option<String>,
}

impl FilterArgs {
    pub(super) fn filter(self) -> Filter {
        let mut conditions = self.conditions;
        for more in [self.user, self.route, self.ip, self.outcome] {
            conditions.extend(more);
        }
        let now = SystemClock::new().now();
        Filter {
            conditions,
            since: self.since.map(|since| recorded(since.until(now))),
        }
    }
}

impl Filter {
    /// Whether a record is one of those that are asked for: each field that is asked for has
    /// one of the values.
    pub(super) fn takes(&self, record: &LogLine) -> bool {
        let met = |condition: &Condition| {
            let of_the_field = self
                .conditions
                .iter()
                .filter(|other| other.field == condition.field);
            of_the_field
                .into_iter()
                .any(|other| other.is_met_by(record))
        };
        !self.is_before(record) && self.conditions.iter().all(met)
    }

    /// Whether a record is older than all that are asked for.
    pub(super) fn is_before(&self, record: &LogLine) -> bool {
        let since = self.since.as_deref();
        since.is_some_and(|since| record.timestamp.as_str() < since)
    }
}
