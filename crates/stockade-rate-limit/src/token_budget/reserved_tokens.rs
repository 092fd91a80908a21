//! The tokens reserved for a request, while its response is on its way.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use stockade_core::{context::RequestContext, llm::TokenUsage, refusal::Refusal};

use super::{estimate::total, refusal};
use crate::{Bucket, Decision, LimitStore, OwnedBucket, StoreError, StoreReply, compiled::Buckets};

/// The tokens reserved for a request; an extension of each request that a
/// [`TokenBudget`](super::TokenBudget) counts. Cheap to clone.
///
/// A model that ignores `max_tokens` may use more than was reserved. The excess is charged when
/// the response has ended. To end the response as soon as the budget is used up, call
/// [`extend`](Self::extend) from time to time while there is an [excess](Self::excess), as the
/// `stockade` crate does.
pub struct ReservedTokens<S>(Arc<Reserved<S>>);

/// A reservation that the store has debited.
pub(super) struct Reserved<S> {
    pub(super) buckets: Vec<OwnedBucket>,
    /// What was debited so far.
    pub(super) tokens: AtomicU64,
    /// The estimate of the request, by prompt and completion.
    pub(super) usage: TokenUsage,
    pub(super) context: RequestContext,
    pub(super) store: Arc<S>,
}

impl<S> ReservedTokens<S>
where
    S: LimitStore,
{
    pub(super) fn new(reserved: Reserved<S>) -> Self {
        Self(Arc::new(reserved))
    }

    pub(super) fn get(&self) -> &Reserved<S> {
        &self.0
    }

    /// The tokens that were used beyond the reservation, as far as the handler has reported them.
    pub fn excess(&self) -> u64 {
        let used = self.0.context.usage().map_or(0, total);
        used.saturating_sub(self.0.tokens.load(Ordering::Acquire))
    }

    /// Extends the reservation by the [excess](Self::excess), in all quotas or in none. Call it
    /// again only when the future has resolved.
    ///
    /// Resolves to a 429 `TOKEN_LIMIT` if less than the excess is left. A store that fails extends
    /// nothing and refuses nothing.
    pub fn extend(&self) -> ExtendReservation<S> {
        let excess = u32::try_from(self.excess()).unwrap_or(u32::MAX);
        let reply = match excess {
            0 => StoreReply::Ready(Ok(Decision::uncounted())),
            _ => self.0.store.take(&self.buckets_of(excess)),
        };
        let pending = match reply {
            StoreReply::Ready(decision) => Pending::Ready {
                decision: Some(decision),
            },
            StoreReply::Wait(decision) => Pending::Wait { decision },
        };
        ExtendReservation {
            reserved: self.clone(),
            excess,
            pending,
        }
    }

    /// Ends the reports of usage. Without any, the reservation is charged: for a response that
    /// ends with an error although the model has worked.
    pub fn charge(&self) {
        self.0.context.final_usage_or(self.0.usage);
    }

    fn buckets_of(&self, cost: u32) -> Buckets<'_> {
        let buckets = self.0.buckets.iter().map(OwnedBucket::as_bucket);
        buckets.map(|bucket| bucket.with_cost(cost)).collect()
    }

    fn finish(&self, excess: u32, decision: Result<Decision, StoreError>) -> Result<(), Refusal> {
        let Ok(decision) = decision else {
            return Ok(());
        };
        if !decision.is_allowed() {
            let buckets: &[Bucket<'_>] = &self.buckets_of(excess);
            return Err(refusal::exhausted(buckets, &decision));
        }
        // Without statuses, nothing was debited.
        if !decision.statuses().is_empty() {
            self.0.tokens.fetch_add(excess.into(), Ordering::AcqRel);
        }
        Ok(())
    }
}

impl<S> Clone for ReservedTokens<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> fmt::Debug for ReservedTokens<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReservedTokens")
            .field("buckets", &self.0.buckets)
            .field("tokens", &self.0.tokens)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`ReservedTokens::extend`].
    pub struct ExtendReservation<S>
    where
        S: LimitStore,
    {
        reserved: ReservedTokens<S>,
        excess: u32,
        #[pin]
        pending: Pending<S::Wait>,
    }
}

pin_project! {
    #[project = PendingProj]
    enum Pending<W> {
        Ready {
            decision: Option<Result<Decision, StoreError>>,
        },
        Wait {
            #[pin]
            decision: W,
        },
    }
}

impl<S> Future for ExtendReservation<S>
where
    S: LimitStore,
{
    type Output = Result<(), Refusal>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let decision = match this.pending.project() {
            PendingProj::Ready { decision } => {
                decision.take().expect("not polled after completion")
            }
            PendingProj::Wait { decision } => ready!(decision.poll(cx)),
        };
        Poll::Ready(this.reserved.finish(*this.excess, decision))
    }
}

impl<S> fmt::Debug for ExtendReservation<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendReservation")
            .field("reserved", &self.reserved)
            .field("excess", &self.excess)
            .finish_non_exhaustive()
    }
}
