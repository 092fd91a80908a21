//! HTTP transport to the upstreams that serve a model, with what keeps it available: bounded
//! concurrency with a fair queue, circuit breakers, health checks, fallbacks and retries.
//!
//! 1. An upstream is chosen by priority and availability; among equals, the less busy of two that
//!    are drawn by weight.
//! 2. A request waits for a slot of its upstream. Waiting requests take turns between the fairness
//!    keys.
//! 3. It is sent again only before the head of a response was handed on, and only after a
//!    connection error, a 429 with `Retry-After` inside the deadline, or a 502, 503 or 504; within
//!    the retry budget, and preferably to another upstream.
//! 4. Dropping the future or the body cancels the exchange: the connection is closed (HTTP/1.1) or
//!    the stream reset (HTTP/2).
//! 5. Redirects are not followed.
//!
//! It knows HTTP only: nothing about chats or configuration files.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;
use tower::retry::budget::{Budget, TpsBudget};

mod breaker;
mod classify;
mod client;
mod error;
mod exchange;
mod gate;
mod health;
mod member;
pub(crate) mod metrics;
mod picker;
mod request;
mod response;
mod retry;
mod settings;
mod status;

pub use crate::fair_queue::Share;
pub use breaker::BreakerState;
pub use error::{UpstreamError, UpstreamErrorKind};
pub use request::{RequestBody, UpstreamRequest};
pub use response::{UpstreamBody, UpstreamResponse};
pub use settings::{
    ApiKey, BreakerSettings, GroupSettings, HealthCheckSettings, KeyHeader, UpstreamSettings,
    UpstreamSettingsError, UpstreamUrl,
};
pub use status::{GroupStatus, UpstreamStatus};

use exchange::Exchange;
use gate::Entry;
use member::Member;
use picker::Room;
use retry::{Attempt, Failure};

/// The upstreams that serve one model; cheap to clone.
#[derive(Clone)]
pub struct UpstreamGroup(Arc<Group>);

struct Group {
    model: Arc<str>,
    settings: GroupSettings,
    members: Vec<Arc<Member>>,
    retry_budget: TpsBudget,
    /// Aborted with the last clone.
    _health_checks: Vec<AbortOnDropHandle<()>>,
}

/// How long a request counts for the retry budget.
const RETRY_BUDGET_TTL: Duration = Duration::from_secs(10);
/// Retries that are allowed each second without requests.
const RETRY_BUDGET_FLOOR: u32 = 1;

impl UpstreamGroup {
    /// Creates the clients of all upstreams, and starts their health checks.
    ///
    /// # Errors
    /// Returns an error for invalid settings and for an unreadable file of root certificates.
    pub fn new(model: &str, mut settings: GroupSettings) -> Result<Self, UpstreamSettingsError> {
        let model: Arc<str> = model.into();
        let upstreams = std::mem::take(&mut settings.upstreams);
        if upstreams.is_empty() {
            let line = format!("the model {model:?} has no upstream: add one");
            return Err(UpstreamSettingsError::new(line));
        }
        if settings.retry_budget_percent > 100 {
            return Err(UpstreamSettingsError::new(
                "the retry budget is more than 100 percent: lower it",
            ));
        }
        let members = upstreams
            .into_iter()
            .map(|upstream| Member::new(&model, upstream, &settings).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        let health_checks = settings.health_check.iter().flat_map(|checks| {
            let spawn = |member| health::spawn(member, checks);
            members.iter().map(spawn)
        });
        Ok(Self(Arc::new(Group {
            _health_checks: health_checks.collect::<Result<_, _>>()?,
            retry_budget: TpsBudget::new(
                RETRY_BUDGET_TTL,
                RETRY_BUDGET_FLOOR,
                f32::from(settings.retry_budget_percent) / 100.0,
            ),
            model,
            settings,
            members,
        })))
    }

    /// Sends a request, and waits for the head of the response. Responses of all statuses but 1xx
    /// and 3xx are handed on, also 429 and 503 when they are not retried.
    ///
    /// # Errors
    /// Returns an error if no response was received.
    pub async fn send(&self, request: UpstreamRequest) -> Result<UpstreamResponse, UpstreamError> {
        let group = &*self.0;
        group.retry_budget.deposit();
        let mut tried = vec![false; group.members.len()];
        let mut attempts = 1;
        loop {
            let (index, exchange) = group.enter(&request, &tried).await?;
            let member = Arc::clone(exchange.member());
            let (result, failure) = group.attempt(&request, exchange, attempts).await;
            tried[index] = true;
            let Some(failure) = failure else {
                return result;
            };
            let attempt = Attempt {
                retries: attempts - 1,
                max_retries: group.settings.max_retries,
                other_upstream: group.has_other(&request, &tried),
                remaining: request.deadline.saturating_duration_since(Instant::now()),
                random: rand::random(),
            };
            let Some(wait) = retry::wait_before_retry(failure, &attempt) else {
                return result;
            };
            if !group.retry_budget.withdraw() {
                metrics::refused(&group.model, "retry_budget");
                return result;
            }
            drop(result);
            member.metrics().retried(failure.label());
            tokio::time::sleep(wait).await;
            attempts += 1;
        }
    }

    /// The state of all upstreams.
    pub fn status(&self) -> GroupStatus {
        let members = self.0.members.iter();
        GroupStatus {
            model: Arc::clone(&self.0.model),
            upstreams: members.map(|member| member.status()).collect(),
        }
    }
}

impl Group {
    /// Chooses an upstream and waits for a slot.
    async fn enter(
        &self,
        request: &UpstreamRequest,
        tried: &[bool],
    ) -> Result<(usize, Exchange), UpstreamError> {
        let refused = |kind: UpstreamErrorKind| {
            metrics::refused(&self.model, kind.label());
            UpstreamError::new(kind)
        };
        let started = Instant::now();
        loop {
            let now = Instant::now();
            let share = request.share;
            let members = self.members.iter().zip(tried);
            let candidates: Vec<_> = members
                .map(|(member, tried)| member.candidate(share.key, request.deadline, *tried, now))
                .collect();
            let Some(index) = picker::pick(&candidates, |limit| rand::random_range(0..limit))
            else {
                let retry_after = self.members.iter().map(|member| member.retry_after(now));
                let retry_after = retry_after.min().unwrap_or_default();
                return Err(refused(UpstreamErrorKind::Unavailable { retry_after }));
            };
            let member = &self.members[index];
            let waiting = (candidates[index].room != Room::Free).then(|| member.metrics().wait());
            let entry = member.gate().enter(share, request.deadline).await;
            drop(waiting);
            // Without a permit or a pass, the upstream has failed meanwhile: another choice.
            if let Entry::Permit(permit) = entry.map_err(refused)?
                && let Some(pass) = member.admit(Instant::now())
            {
                member.metrics().waited(started.elapsed());
                return Ok((index, Exchange::new(Arc::clone(member), pass, permit)));
            }
        }
    }

    /// Sends the request once. The failure is present if it may be sent again.
    async fn attempt(
        &self,
        request: &UpstreamRequest,
        mut exchange: Exchange,
        attempts: u32,
    ) -> (Result<UpstreamResponse, UpstreamError>, Option<Failure>) {
        let response = match exchange.send(request, &self.settings, attempts).await {
            Ok(response) => response,
            Err(error) => {
                let failure = match error.kind() {
                    UpstreamErrorKind::Connect => Some(Failure::Connect),
                    UpstreamErrorKind::Tls => Some(Failure::Tls),
                    _ => None,
                };
                return (Err(error), failure);
            }
        };
        let (head, incoming) = response.into_parts();
        exchange.record_status(head.status, &head.headers);
        let retry_after = retry::retry_after(&head.headers, SystemTime::now());
        let failure = Failure::from_response(head.status, retry_after);
        let upstream = Arc::clone(exchange.member().label());
        let (status, deadline) = (head.status, request.deadline);
        let body = UpstreamBody::new(incoming, exchange, status, deadline, &self.settings);
        let response = UpstreamResponse {
            status,
            headers: head.headers,
            body,
            upstream,
            attempts,
        };
        (Ok(response), failure)
    }

    /// Whether an upstream is available that was not tried.
    fn has_other(&self, request: &UpstreamRequest, tried: &[bool]) -> bool {
        let now = Instant::now();
        let mut others = self.members.iter().zip(tried).filter(|(_, tried)| !**tried);
        others.any(|(member, _)| {
            let (key, deadline) = (request.share.key, request.deadline);
            member.candidate(key, deadline, false, now).room < Room::Paused
        })
    }
}

impl fmt::Debug for UpstreamGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamGroup")
            .field("model", &self.0.model)
            .finish_non_exhaustive()
    }
}
