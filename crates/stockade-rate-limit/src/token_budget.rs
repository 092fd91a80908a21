//! The token budget guard.

mod estimate;
mod layer;
mod refusal;
mod reservation;
mod reserved_tokens;
mod settlement;
mod wait;

use std::{fmt, sync::Arc};

use stockade_core::{
    guard::{Check, Guard, Head},
    identity::QuotaOverrides,
    llm::ModelRequest,
};

use estimate::Estimate;
use reservation::PendingReservation;

use crate::{
    Bucket, Decision, LimitStore, MemoryLimitStore, SharedLimits, StoreReply,
    compiled::{Buckets, OverrideQuotas},
    headers::LegacyHeaders,
};

pub use layer::TokenBudgetLayer;
pub use reservation::Reservation;
pub use reserved_tokens::{ExtendReservation, ReservedTokens};
pub use wait::TokenBudgetWait;

/// Limits the tokens that requests may use of a model, and reserves them.
///
/// 1. The reservation is the estimate of the
///    [`ModelRequest`](stockade_core::llm::ModelRequest): its prompt and its `max_tokens`, or
///    [`max_tokens`](Self::max_tokens) of this guard if the client sets none. The guard
///    therefore belongs behind the layer that reads the body. A request without a model
///    request reserves [`default_cost`](Self::default_cost); with a safe method (RFC 9110,
///    section 9.2.1, such as `GET`), it is not counted.
/// 2. The reservation is settled once, when the response has ended, failed or was dropped. The
///    charge is the last [usage](stockade_core::context::RequestContext::set_usage) that the
///    handler reported, however the request ended. If it exceeds the reservation, the rest is
///    a debt that delays later requests. If a handler reports zero at its start, the prompt
///    when the model starts to read it, and each token as it is generated, then a disconnect
///    or a timeout is charged for exactly what the model did. Audit records show the same
///    numbers.
/// 3. If no usage was reported, error responses (4xx, 5xx, a gRPC status) and services that
///    failed without a response cost nothing. Everything else costs the reservation, including
///    a client that disconnected before the response, a handler that panicked, and a timeout
///    inside of this layer (408, 504, `DEADLINE_EXCEEDED`): the model has worked, but its
///    usage is unknown. The record shows the estimate and marks it as one.
/// 4. If OpenAI's headers are enabled, they announce what is left after the reservation. The
///    standard headers have no registered unit for model tokens and are not sent.
/// 5. A request that may use more than a quota ever holds gets a 400 `TOKENS_EXCEED_QUOTA`,
///    since waiting would not help. If too few tokens are left, the response is a 429
///    `TOKEN_LIMIT`, and no quota is debited.
///
/// A quota counts tokens: `Quota::per_minute(100_000)`. Its burst is the most that one request
/// may use. For limits by principal alone, a principal's own
/// [`tokens_per_minute`](QuotaOverrides::tokens_per_minute) replaces it.
///
/// State is stored under the name of a limit: if a budget and a rate limit share a store, give
/// their limits different names.
///
/// ```
/// use std::convert::Infallible;
///
/// use bytes::Bytes;
/// use http::{Request, Response, StatusCode};
/// use http_body_util::Full;
/// use stockade_core::{
///     context::RequestContext,
///     identity::Principal,
///     llm::{ModelRequest, TokenUsage},
/// };
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, Quota, TokenBudgetLayer};
/// use tower::{ServiceBuilder, ServiceExt};
///
/// #[tokio::main(flavor = "current_thread")]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let key = KeyExtractor::principal().and(KeyExtractor::model());
///     let limits = Limits::new([Limit::new("tokens", key).quota(Quota::per_minute(10_000))])?;
///     let service = ServiceBuilder::new()
///         .layer(TokenBudgetLayer::new(limits).openai_headers())
///         .service_fn(|request: Request<()>| async move {
///             // A handler reports what the model used.
///             let usage = TokenUsage { prompt_tokens: 40, completion_tokens: 200 };
///             RequestContext::of(request.extensions()).unwrap().set_usage(usage);
///             Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("an answer")))
///         });
///
///     // Other layers would set the principal, and the model request with its prompt tokens and
///     // `max_tokens`.
///     let request = |max_tokens| {
///         let estimate = ModelRequest::new(Some("small".into()), 50, Some(max_tokens));
///         let principal = Principal::builder("key").build();
///         let context = RequestContext::builder().principal(principal).model_request(estimate);
///         Request::builder().extension(context.build()).body(())
///     };
///     let passed = service.clone().oneshot(request(8_000)?).await?;
///     assert_eq!(passed.status(), StatusCode::OK);
///     assert_eq!(passed.headers()["x-ratelimit-remaining-tokens"], "1950");
///
///     // The first response still has its body, and so its reservation.
///     let refused = service.clone().oneshot(request(8_000)?).await?;
///     assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
///
///     // Once it has ended, the 240 tokens that were used are all that is charged.
///     drop(passed);
///     assert_eq!(service.oneshot(request(8_000)?).await?.status(), StatusCode::OK);
///     Ok(())
/// }
/// ```
pub struct TokenBudget<S = MemoryLimitStore> {
    limits: SharedLimits,
    store: Arc<S>,
    estimate: Estimate,
    max_tokens_by: Option<Arc<MaxTokensBy>>,
    legacy: LegacyHeaders,
}

type MaxTokensBy = dyn Fn(&ModelRequest) -> Option<u32> + Send + Sync;

/// The only override of tokens is per minute.
const OVERRIDES: OverrideQuotas = |quotas: &QuotaOverrides| [quotas.tokens_per_minute, None, None];

impl TokenBudget {
    /// Creates a guard that counts in the memory of this process.
    pub fn new(limits: impl Into<SharedLimits>) -> Self {
        Self::with_store(limits, MemoryLimitStore::default())
    }
}

impl<S> TokenBudget<S>
where
    S: LimitStore,
{
    /// Creates a guard that counts in this store.
    pub fn with_store(limits: impl Into<SharedLimits>, store: S) -> Self {
        Self {
            limits: limits.into(),
            store: Arc::new(store),
            estimate: Estimate::default(),
            max_tokens_by: None,
            legacy: LegacyHeaders::default(),
        }
    }

    /// Sets the completion tokens that are reserved if the client sets no bound; defaults to
    /// 4,096. Use the bound of the model itself.
    pub fn max_tokens(mut self, tokens: u32) -> Self {
        self.estimate.max_tokens = tokens;
        self
    }

    /// Sets the completion tokens that are reserved if the client sets no bound, by the request:
    /// models may have different bounds. [`max_tokens`](Self::max_tokens) applies where the
    /// function returns `None`.
    pub fn max_tokens_by<F>(mut self, tokens: F) -> Self
    where
        F: Fn(&ModelRequest) -> Option<u32> + Send + Sync + 'static,
    {
        self.max_tokens_by = Some(Arc::new(tokens));
        self
    }

    /// Sets the tokens that are reserved for a request without a model request; defaults to
    /// 1,000. With 0, it is allowed as long as anything is left, and charged for its reported
    /// usage.
    pub fn default_cost(mut self, tokens: u32) -> Self {
        self.estimate.default_cost = tokens;
        self
    }

    /// Also sends OpenAI's `x-ratelimit-limit-tokens`, `x-ratelimit-remaining-tokens` and
    /// `x-ratelimit-reset-tokens` (`12ms`, `6m0s`), for the quota with the lowest remaining
    /// count.
    pub fn openai_headers(mut self) -> Self {
        self.legacy.openai = true;
        self
    }

    fn estimate(&self, demand: Option<&ModelRequest>) -> Estimate {
        let unbounded = demand.filter(|demand| demand.max_tokens.is_none());
        let by_request = self.max_tokens_by.as_ref().zip(unbounded);
        let max_tokens = by_request.and_then(|(tokens, demand)| tokens(demand));
        Estimate {
            max_tokens: max_tokens.unwrap_or(self.estimate.max_tokens),
            ..self.estimate
        }
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
        let demand = head.context().model_request();
        let reserved = self.estimate(demand).of(demand);
        // Saturates: no quota holds more than a u32.
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
            context: head.context().clone(),
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

    fn admit(&self, pass: Self::Pass, head: &mut Head) -> Self::Hook {
        if let Some(reserved) = pass.reserved_tokens() {
            head.extensions.insert(reserved);
        }
        pass
    }
}

impl<S> Clone for TokenBudget<S> {
    fn clone(&self) -> Self {
        Self {
            limits: self.limits.clone(),
            store: Arc::clone(&self.store),
            estimate: self.estimate,
            max_tokens_by: self.max_tokens_by.clone(),
            legacy: self.legacy,
        }
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
