//! The tokens reserved for a request until it has ended.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use stockade_core::{
    context::RequestContext,
    guard::{Outcome, ResponseHook},
    llm::TokenUsage,
    refusal::Refusal,
};

use super::{
    estimate::total,
    refusal,
    reserved_tokens::{Reserved, ReservedTokens},
    settlement::Settlement,
};
use crate::{
    Bucket, Decision, LimitStore, StoreError,
    headers::{LegacyHeaders, LimitHeaders, Unit},
};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// A reservation that the store has not decided yet.
#[derive(Debug)]
pub(super) struct PendingReservation<S> {
    pub(super) tokens: u32,
    /// The reservation, by prompt and completion.
    pub(super) reserved: TokenUsage,
    pub(super) legacy: LegacyHeaders,
    pub(super) context: RequestContext,
    pub(super) store: Arc<S>,
}

impl<S> PendingReservation<S>
where
    S: LimitStore,
{
    /// Turns the store's decision into a reservation or a refusal.
    pub(super) fn finish(
        self,
        buckets: &[Bucket<'_>],
        decision: Result<Decision, StoreError>,
    ) -> Result<Reservation<S>, Refusal> {
        let decision = decision.map_err(|error| refusal::unavailable(error.kind()))?;
        // The standard headers have no unit for tokens.
        let headers = LimitHeaders::new(None, buckets, &decision, self.legacy, Unit::Tokens);
        if !decision.is_allowed() {
            let refusal = refusal::insufficient(buckets, &decision);
            return Err(match headers {
                Some(headers) => headers.apply_to_refusal(refusal),
                None => refusal,
            });
        }
        // Without statuses, nothing was debited.
        let debited = buckets.iter().take(decision.statuses().len());
        let reserved = ReservedTokens::new(Reserved {
            buckets: debited.map(Bucket::to_owned).collect(),
            tokens: AtomicU64::new(self.tokens.into()),
            usage: self.reserved,
            context: self.context,
            store: self.store,
        });
        Ok(Reservation {
            reserved,
            headers,
            settlement: Settlement::default(),
        })
    }
}

/// The tokens reserved for a request until it has ended; settled on drop.
pub struct Reservation<S>
where
    S: LimitStore,
{
    reserved: ReservedTokens<S>,
    /// The headers for the response.
    headers: Option<LimitHeaders>,
    settlement: Settlement,
}

impl<S> Reservation<S>
where
    S: LimitStore,
{
    /// What extends the reservation; `None` if the request is not counted.
    pub(super) fn reserved_tokens(&self) -> Option<ReservedTokens<S>> {
        (!self.reserved.get().buckets.is_empty()).then(|| self.reserved.clone())
    }
}

impl<S> ResponseHook for Reservation<S>
where
    S: LimitStore,
{
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.settlement.head(status, grpc_status(headers));
        if let Some(limit_headers) = self.headers.take() {
            limit_headers.write(headers);
        }
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.settlement.grpc_status(grpc_status(trailers));
    }

    fn on_end(mut self, end: Outcome) {
        self.settlement.end(end);
    }
}

impl<S> Drop for Reservation<S>
where
    S: LimitStore,
{
    fn drop(&mut self) {
        let Reserved {
            buckets,
            tokens,
            usage,
            context,
            store,
        } = self.reserved.get();
        if buckets.is_empty() {
            // The request was not counted.
            return;
        }
        let estimate = self.settlement.estimated_charge(*usage);
        let used = match estimate {
            Some(estimate) => context.final_usage_or(estimate),
            None => context.final_usage(),
        };
        let used = used.map_or(0, total).cast_signed();
        let delta = used.saturating_sub_unsigned(tokens.load(Ordering::Acquire));
        if delta == 0 {
            return;
        }
        for bucket in buckets {
            store.settle(&bucket.as_bucket(), delta);
        }
    }
}

/// The `grpc-status` of a header or trailer.
fn grpc_status(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(&GRPC_STATUS).map(HeaderValue::as_bytes)
}

impl<S> fmt::Debug for Reservation<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("reserved", &self.reserved)
            .field("settlement", &self.settlement)
            .finish_non_exhaustive()
    }
}
