//! The guard of model tokens.

mod estimate;
mod refusal;
mod reservation;
mod settlement;
mod wait;

use std::{fmt, sync::Arc};

use stockade_core::{
    guard::Guard,
    guard::{Check, Head},
    identity::QuotaOverrides,
};

use estimate::Estimate;
use reservation::PendingReservation;

use crate::{
    Bucket, Decision, LimitStore, MemoryLimitStore, SharedLimits, StoreReply,
    compiled::{Buckets, OverrideQuotas},
    headers::LegacyHeaders,
};

pub use reservation::Reservation;
pub use wait::TokenBudgetWait;

/// Lets a request in where the tokens that it may take are left, and reserves them.
///
/// 1. Reserved is what the [`ModelRequest`](stockade_core::llm::ModelRequest) says: its prompt and its
///    `max_tokens`, or [`max_tokens`](Self::max_tokens) of this guard where the client sets
///    none. So the guard belongs behind whoever reads the body. For a request without a demand it is
///    [`default_cost`](Self::default_cost), whatever the request does; but one whose method is safe (RFC
///    9110, section 9.2.1: `GET` and the like) and that has no demand asks nothing of a
///    model, and is not counted.
/// 2. When the response has ended, failed or was dropped, the reservation is settled, once:
///    the charge is the last [usage](stockade_core::context::RequestContext::set_usage) that the
///    handler reported, however the request ended. If that is more than was reserved, the
///    rest is a debt that later requests wait for. A handler reports zero when it begins,
///    the prompt when the model begins to read it, and each token as it is made; then a
///    client that leaves or a timeout is charged for exactly what the model did. Audit
///    records show the same numbers.
/// 3. If no usage was reported, an answer that is an error (4xx, 5xx, a gRPC status) and an
///    inner service that failed without an answer cost nothing. Everything else costs what
///    was reserved: also a client that left before the answer came, a handler that panicked,
///    and a time limit inside of this layer (408, 504, `DEADLINE_EXCEEDED`), for then the
///    model has worked and the handler cannot say how much. The record shows the estimate,
///    and that it is one.
/// 4. OpenAI's fields, where they are enabled, announce what is left after the
///    reservation. The standard fields have no registered unit for model tokens, and none is
///    sent in them.
/// 5. A request that may take more than a quota ever holds is a 400 `TOKENS_EXCEED_QUOTA`;
///    no wait would help. One for which not enough is left is a 429 `TOKEN_LIMIT`, and takes
///    nothing from any quota.
///
/// A quota counts tokens: `Quota::per_minute(100_000)`, and its burst is the most that one
/// request may take. By the principal alone, a principal's own
/// [`tokens_per_minute`](QuotaOverrides::tokens_per_minute) come in place of it.
///
/// A limit has one name in one store. So give a budget and a rate limit with the same store
/// limits of different names.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{client::ClientIp, context::{RequestContext, RequestId}, guard::Guard, llm::{ModelRequest, TokenUsage}};
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, TokenBudget};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let by = KeyExtractor::principal().and(KeyExtractor::model());
/// let limits = Limits::new([Limit::new("tokens", by).quota(Quota::per_minute(10_000))])?;
/// let service = ServiceBuilder::new()
///     .layer(TokenBudget::new(limits).openai_headers().into_layer())
///     .service_fn(|request: Request<()>| async move {
///         // What a handler says that has run a model:
///         let usage = TokenUsage { prompt_tokens: 40, completion_tokens: 200 };
///         RequestContext::of(request.extensions()).unwrap().set_usage(usage);
///         Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("an answer")))
///     });
///
/// // What the guards before it would have found out: a prompt, and the most that the
/// // client wants back.
/// let request = |max_tokens| {
///     let context = RequestContext::new(RequestId::next(), ClientIp::UnixSocket);
///     context.set_demand(ModelRequest::new(Some("small".into()), 50, Some(max_tokens)));
///     Request::builder().extension(context).body(())
/// };
/// let passed = service.clone().oneshot(request(8_000)?).await?;
/// assert_eq!(passed.status(), StatusCode::OK);
/// assert_eq!(passed.headers()["x-ratelimit-remaining-tokens"], "1950");
///
/// // The first response still has its body, and so its reservation.
/// let refused = service.clone().oneshot(request(8_000)?).await?;
/// assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
///
/// // Once it has ended, the 240 tokens that were used are all that is charged.
/// drop(passed);
/// assert_eq!(service.oneshot(request(8_000)?).await?.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
pub struct TokenBudget<S = MemoryLimitStore> {
    limits: SharedLimits,
    store: Arc<S>,
    estimate: Estimate,
    legacy: LegacyHeaders,
}

/// Tokens are a principal's own in a minute only.
const OVERRIDES: OverrideQuotas = |quotas: &QuotaOverrides| [quotas.tokens_per_minute, None, None];

impl TokenBudget {
    /// A budget of these limits in this process.
    pub fn new(limits: impl Into<SharedLimits>) -> Self {
        Self::with_store(limits, MemoryLimitStore::default())
    }
}

impl<S> TokenBudget<S>
where
    S: LimitStore,
{
    /// A budget of these limits whose states are in this store.
    pub fn with_store(limits: impl Into<SharedLimits>, store: S) -> Self {
        Self {
            limits: limits.into(),
            store: Arc::new(store),
            estimate: Estimate::default(),
            legacy: LegacyHeaders::default(),
        }
    }

    /// Tokens that are reserved for an answer where the client sets no bound; 4,096 where
    /// this is not called. Let it be the bound that the model has itself.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.estimate.max_tokens = tokens;
        self
    }

    /// Tokens that are reserved for a request without a demand; 1,000 where this is not
    /// called. With 0 it is let in as long as anything is left, and charged what it is
    /// reported to have used.
    pub fn default_cost(mut self, tokens: u32) -> Self {
        self.estimate.default_cost = tokens;
        self
    }

    /// Also answers with OpenAI's `x-ratelimit-limit-tokens`, `x-ratelimit-remaining-tokens`
    /// and `x-ratelimit-reset-tokens` (`12ms`, `6m0s`): those of the quota that has least
    /// left.
    pub fn openai_headers(mut self) -> Self {
        self.legacy.openai = true;
        self
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.store
    }
}

impl<S> Guard for TokenBudget<S>
where
    S: LimitStore,
{
    const NAME: &'static str = "token_budget";
    type Pass = Reservation<S>;
    type Hook = Reservation<S>;
    type Wait = TokenBudgetWait<S>;

    fn check(&self, head: &Head) -> Check<Self::Pass, Self::Wait> {
        let demand = head.demand();
        let reserved = self.estimate.of(demand);
        // What does not fit is more than any quota holds.
        let tokens = u32::try_from(estimate::total(reserved)).unwrap_or(u32::MAX);
        let limits = self.limits.load();
        let mut buckets = Buckets::new();
        let counted = demand.is_some() || !head.method.is_safe();
        if counted && let Err(missing) = limits.buckets(head, OVERRIDES, Some(tokens), &mut buckets)
        {
            return Check::Refuse(missing.refusal());
        }
        let never = |bucket: &&Bucket<'_>| tokens > bucket.quota().max_burst();
        if let Some(bucket) = buckets.iter().find(never) {
            return Check::Refuse(refusal::exceeds_quota(bucket));
        }
        let pending = PendingReservation {
            tokens,
            reserved,
            legacy: self.legacy,
            context: head.context().cloned(),
            store: Arc::clone(&self.store),
        };
        let answer = if buckets.is_empty() {
            StoreReply::Ready(Ok(Decision::uncounted()))
        } else {
            self.store.take(&buckets)
        };
        match answer {
            StoreReply::Ready(decision) => match pending.finish(&buckets, decision) {
                Ok(reservation) => Check::Pass(reservation),
                Err(refusal) => Check::Refuse(refusal),
            },
            StoreReply::Wait(decision) => Check::Wait(TokenBudgetWait {
                decision,
                buckets: buckets.iter().map(Bucket::to_owned).collect(),
                pending: Some(pending),
            }),
        }
    }

    fn admit(&self, pass: Self::Pass, _head: &mut Head) -> Self::Hook {
        pass
    }
}

impl<S> fmt::Debug for TokenBudget<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenBudget")
            .field("limits", &self.limits)
            .field("estimate", &self.estimate)
            .finish_non_exhaustive()
    }
}
