//! The conditions that the state of the process shows.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use stockade::Fence;
use stockade_admin::AdminStore;
use stockade_audit::Journal;
use stockade_server_config::{AlertCondition, ExpiryStage};

use super::ledger::Finding;
use crate::{
    backend::Phase,
    models::Models,
    reload::CONFIGURATION,
    server::Sources,
    tls::SharedTls,
    upstream::{BreakerState, UpstreamStatus},
};

/// How long a lost record or a restart of an engine is reported, in seconds: the windows of the
/// rules for Prometheus.
const LOSS_SECS: u64 = 5 * 60;
const RESTART_SECS: u64 = 10 * 60;
/// How long an engine may work for a client that has left.
const MAX_DRAINING: Duration = Duration::from_secs(120);

/// The parts of the server that are inspected.
pub(crate) struct Watched {
    pub(crate) fence: Fence,
    pub(crate) sources: Sources,
    pub(crate) models: Models,
    pub(crate) certificate: Option<SharedTls>,
    pub(crate) admin: Option<AdminStore>,
}

/// Looks at the server.
pub(super) struct States {
    watched: Watched,
    budget_percent: u64,
    lost_records: Rising,
    /// By model.
    restarts: HashMap<String, Rising>,
}

impl States {
    pub(super) fn new(watched: Watched, budget_percent: u8) -> Self {
        Self {
            watched,
            budget_percent: budget_percent.into(),
            lost_records: Rising::default(),
            restarts: HashMap::new(),
        }
    }

    /// What is wrong at present.
    pub(super) fn now(&mut self, now: u64) -> Vec<Finding> {
        let mut found = Vec::new();
        self.sources(&mut found);
        self.audit(now, &mut found);
        self.models(now, &mut found);
        self.certificate(&mut found);
        self.budgets(&mut found);
        let store = self.watched.fence.store_health();
        if store.is_some_and(|store| !store.up) {
            let detail = "store.on_failure decides about requests";
            found.push(finding(AlertCondition::StoreDown, "limits", detail));
        }
        found
    }

    fn sources(&self, found: &mut Vec<Finding>) {
        let sources = self.watched.sources.statuses();
        for source in sources.filter(stockade_watch::SourceStatus::is_failing) {
            let condition = match source.name.starts_with(CONFIGURATION) {
                true => AlertCondition::ReloadRejected,
                false => AlertCondition::SourceStale,
            };
            let error = source.last_error.as_deref().unwrap_or_default();
            found.push(finding(condition, &*source.name, error));
        }
    }

    fn audit(&mut self, now: u64, found: &mut Vec<Finding>) {
        let mut dropped = 0;
        let mut error = None;
        for stats in self.watched.fence.audit().journals().map(Journal::stats) {
            dropped += stats.dropped;
            if stats.failing {
                error = Some(stats.last_error.unwrap_or_default());
            }
        }
        let is_losing = self.lost_records.update(dropped, now, LOSS_SECS);
        let lost = is_losing.then(|| format!("{dropped} records were lost since the start"));
        if let Some(detail) = error.or(lost) {
            found.push(finding(AlertCondition::AuditNotWriting, "", detail));
        }
    }

    fn models(&mut self, now: u64, found: &mut Vec<Finding>) {
        for model in self.watched.models.iter() {
            let name = &model.name;
            if let Phase::Failed(why) = model.backend.status().phase {
                found.push(finding(AlertCondition::ModelFailed, name, why));
            }
            if let Some(load) = model.backend.load() {
                let restarts = self.restarts.entry(name.clone()).or_default();
                let detail = if restarts.update(load.restarts, now, RESTART_SECS) {
                    Some("it was restarted; its log names the request")
                } else if load.draining.is_some_and(|time| time > MAX_DRAINING) {
                    Some("it works for a client that has left")
                } else {
                    None
                };
                found.extend(detail.map(|why| finding(AlertCondition::EngineStuck, name, why)));
            }
            let status = model.backend.upstreams();
            for upstream in status.iter().flat_map(|status| &status.upstreams) {
                if let Some(why) = failure(upstream) {
                    let subject = format!("{name}, {}", upstream.url);
                    found.push(finding(AlertCondition::UpstreamDown, subject, why));
                }
            }
        }
    }

    fn certificate(&self, found: &mut Vec<Finding>) {
        let Some(validity) = self
            .watched
            .certificate
            .as_ref()
            .and_then(SharedTls::validity)
        else {
            return;
        };
        let now = SystemTime::now();
        if validity.stage(now) >= ExpiryStage::Imminent {
            let detail = match validity.days_left(now) {
                days if days < 0 => "it has expired".to_owned(),
                1 => "1 day is left".to_owned(),
                days => format!("{days} days are left"),
            };
            found.push(finding(AlertCondition::CertificateExpiring, "", detail));
        }
    }

    fn budgets(&self, found: &mut Vec<Finding>) {
        let Some(admin) = &self.watched.admin else {
            return;
        };
        for budget in admin.budget_use() {
            if budget.percent >= self.budget_percent {
                // Two budgets of a key differ in their id only.
                let subject = format!("{} ({})", budget.subject, budget.id);
                let detail = format!("{} % are used", budget.percent);
                found.push(finding(AlertCondition::BudgetsNearLimit, subject, detail));
            }
        }
        let database = "the database of [admin] does not respond";
        if admin.has_failing_budgets() {
            found.push(finding(AlertCondition::BudgetsFailing, "", database));
        }
        if admin
            .revocations()
            .is_some_and(|tokens| tokens.is_failing())
        {
            found.push(finding(AlertCondition::RevocationsFailing, "", database));
        }
    }
}

fn finding(
    condition: AlertCondition,
    subject: impl Into<String>,
    detail: impl Into<String>,
) -> Finding {
    Finding {
        condition,
        subject: subject.into(),
        detail: detail.into(),
    }
}

/// Why an upstream is not used.
fn failure(upstream: &UpstreamStatus) -> Option<String> {
    if upstream.healthy && upstream.breaker != BreakerState::Open {
        return None;
    }
    let error = upstream.last_error.as_deref();
    Some(error.unwrap_or("its circuit breaker is open").to_owned())
}

/// A counter that is of interest for some time after it has risen.
#[derive(Default)]
struct Rising {
    last: u64,
    until: u64,
}

impl Rising {
    /// Whether the counter has risen in the last seconds.
    fn update(&mut self, count: u64, now: u64, within: u64) -> bool {
        if count > std::mem::replace(&mut self.last, count) {
            self.until = now + within;
        }
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_rises_is_reported_for_a_time() {
        let mut rising = Rising::default();
        for (count, now, expected) in [
            (0, 1_000, false),
            (2, 1_001, true),
            (2, 1_010, true),
            (2, 1_011, false),
            (3, 1_012, true),
        ] {
            assert_eq!(rising.update(count, now, 10), expected, "{now}");
        }
    }
}
