//! The guard that enforces budgets.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderMap, StatusCode};
use stockade_core::{
    context::RequestContext,
    guard::{Check, Guard, Head, NoWait, Outcome, ResponseHook},
    llm::{ModelRequest, TokenUsage},
    refusal::{Refusal, RefusalKind, Violation, grpc_status},
};

use super::{BudgetUnit, Budgets, ledger::Entry};
use crate::time::{now, rfc3339};

/// The completion tokens that are reserved if neither the client nor the program has a bound.
const DEFAULT_MAX_TOKENS: u32 = 4_096;

/// Enforces the budgets of an administration; see
/// [`AdminStore::budget_guard`](crate::AdminStore::budget_guard). It belongs behind the layer that
/// reads the body, because it needs the model request.
#[derive(Clone)]
pub struct BudgetGuard {
    budgets: Budgets,
    max_tokens_by: Option<Arc<MaxTokensBy>>,
}

type MaxTokensBy = dyn Fn(&ModelRequest) -> Option<u32> + Send + Sync;

impl BudgetGuard {
    pub(crate) fn new(budgets: Budgets) -> Self {
        Self {
            budgets,
            max_tokens_by: None,
        }
    }

    /// Sets the completion tokens that are reserved if the client sets no bound, by the request;
    /// 4,096 where the function returns `None`.
    #[must_use]
    pub fn max_tokens_by<F>(mut self, tokens: F) -> Self
    where
        F: Fn(&ModelRequest) -> Option<u32> + Send + Sync + 'static,
    {
        self.max_tokens_by = Some(Arc::new(tokens));
        self
    }

    fn estimate(&self, request: &ModelRequest) -> TokenUsage {
        let by_request = || self.max_tokens_by.as_ref()?(request).map(u64::from);
        let completion = request.max_tokens.or_else(by_request);
        TokenUsage {
            prompt_tokens: request.prompt_tokens,
            completion_tokens: completion.unwrap_or(DEFAULT_MAX_TOKENS.into()),
        }
    }
}

impl Guard for BudgetGuard {
    const NAME: &'static str = "budget";
    type Pass = Option<BudgetReservation>;
    type Hook = Option<BudgetReservation>;
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait> {
        let context = head.context();
        let Some(request) = context.model_request().filter(|_| !self.budgets.is_empty()) else {
            return Check::Pass(None);
        };
        let entries = self.budgets.applicable(context.principal(), request);
        if entries.is_empty() {
            return Check::Pass(None);
        }
        let mut reservation = BudgetReservation {
            budgets: self.budgets.clone(),
            reserved: Vec::with_capacity(entries.len()),
            estimate: self.estimate(request),
            model: request.model.as_deref().unwrap_or_default().to_owned(),
            context: context.clone(),
            // What is reserved when a later budget refuses is released by the drop.
            charge: Charge::Nothing,
        };
        let now = now();
        for entry in entries {
            let amount = reservation.amount(&entry, reservation.estimate);
            if !entry.reserve(now, amount) {
                return Check::Refuse(refusal(&entry, now));
            }
            reservation.reserved.push((entry, amount));
        }
        reservation.charge = Charge::Estimate;
        Check::Pass(Some(reservation))
    }

    fn admit(&self, pass: Self::Pass, _head: &mut Head) -> Self::Hook {
        pass
    }
}

/// What a request may use of its budgets, until it has ended; settled on drop.
pub struct BudgetReservation {
    budgets: Budgets,
    reserved: Vec<(Arc<Entry>, i64)>,
    estimate: TokenUsage,
    model: String,
    context: RequestContext,
    charge: Charge,
}

/// What a request is charged if its usage was not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Charge {
    /// The estimate, before the response: the model may be working.
    Estimate,
    /// The estimate: there is a response.
    Served,
    /// Nothing: the request was refused, or failed.
    Nothing,
}

impl BudgetReservation {
    fn amount(&self, entry: &Entry, usage: TokenUsage) -> i64 {
        self.budgets.amount(entry.budget.unit, &self.model, usage)
    }

    /// What was used; `None` if the model has not worked.
    fn usage(&self) -> Option<TokenUsage> {
        let reported = self.context.final_usage();
        reported.or_else(|| (self.charge != Charge::Nothing).then_some(self.estimate))
    }
}

impl ResponseHook for BudgetReservation {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let is_error = status.is_client_error() || status.is_server_error();
        // A timeout between this guard and the handler: the model has worked.
        let is_timeout =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::GATEWAY_TIMEOUT].contains(&status);
        if (is_error && !is_timeout) || grpc_status(headers).is_some_and(is_grpc_error) {
            self.charge = Charge::Nothing;
        } else {
            self.charge = Charge::Served;
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        if grpc_status(trailers).is_some_and(is_grpc_error) {
            self.charge = Charge::Nothing;
        }
    }

    fn on_end(mut self, outcome: Outcome) {
        // The service failed without a response.
        if self.charge == Charge::Estimate && outcome == Outcome::Failed {
            self.charge = Charge::Nothing;
        }
    }
}

/// All but `OK` and `DEADLINE_EXCEEDED`: the model has worked in both cases.
fn is_grpc_error(status: u16) -> bool {
    !matches!(status, 0 | 4)
}

impl Drop for BudgetReservation {
    fn drop(&mut self) {
        let now = now();
        let usage = self.usage();
        for (entry, reserved) in &self.reserved {
            let used = usage.map_or(0, |usage| self.amount(entry, usage));
            entry.settle(now, *reserved, used);
        }
    }
}

fn refusal(entry: &Entry, now: i64) -> Refusal {
    let budget = &entry.budget;
    let whose = match &*budget.subject {
        "" => "the budget".to_owned(),
        subject => format!("the budget of the {} {subject}", budget.kind.name()),
    };
    let unit = budget.unit.name();
    let window = entry.window(now);
    let until = window.map(|window| format!(" until {}", rfc3339(window.end)));
    let until = until.unwrap_or_default();
    let smaller = match budget.unit {
        BudgetUnit::Requests => "",
        BudgetUnit::Money | BudgetUnit::Tokens => "set a lower max_tokens, or ",
    };
    let larger = match window {
        Some(_) => "ask for a larger budget",
        None => "ask for a top-up",
    };
    let message =
        format!("the request may use more {unit} than {whose} has left{until}; {smaller}{larger}");
    let refusal = Refusal::new(RefusalKind::RateLimited, message)
        .with_code("BUDGET_EXCEEDED")
        .with_internal_reason("budget")
        // An empty budget is no abuse.
        .without_reason()
        .with_violation(Violation {
            subject: budget.id.clone().into(),
            description: format!(
                "{unit} per {}",
                budget.period.map_or("top-up", |p| p.name())
            )
            .into(),
        });
    let wait = window.and_then(|window| u64::try_from(window.end - now).ok());
    match wait {
        Some(millis) => refusal.retry_after(Duration::from_millis(millis)),
        None => refusal,
    }
}

impl fmt::Debug for BudgetGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BudgetGuard").field(&self.budgets).finish()
    }
}

impl fmt::Debug for BudgetReservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BudgetReservation")
            .field("estimate", &self.estimate)
            .field("charge", &self.charge)
            .finish_non_exhaustive()
    }
}
