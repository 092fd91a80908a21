//! Tokens that are reserved for a request until it has ended.

use std::{fmt, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use stockade_core::{End, Hold, Refusal, RequestContext, Usage};

use super::refusal;
use crate::{
    Bucket, Decision, LimitStore, OwnedBucket, StoreError,
    fields::{Fields, Older, Unit},
};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Tokens that are asked for, until the store has decided.
#[derive(Debug)]
pub(super) struct Asked<S> {
    pub(super) tokens: u32,
    pub(super) older: Older,
    /// The `RateLimit-Policy` of all that is asked of.
    pub(super) policy: HeaderValue,
    pub(super) context: Option<RequestContext>,
    pub(super) store: Arc<S>,
}

impl<S> Asked<S>
where
    S: LimitStore,
{
    /// The reservation, or a refusal, as the store has decided.
    pub(super) fn judge(
        self,
        buckets: &[Bucket<'_>],
        decision: Result<Decision, StoreError>,
    ) -> Result<Reservation<S>, Refusal> {
        let decision = decision.map_err(|error| refusal::unavailable(error.kind()))?;
        let fields = Fields::new(self.policy, buckets, &decision, self.older, Unit::Tokens);
        if !decision.allows() {
            let refusal = refusal::short(buckets, &decision);
            return Err(match fields {
                Some(fields) => fields.on(refusal),
                None => refusal,
            });
        }
        // Without levels, nothing was debited.
        let debited = buckets.iter().take(decision.levels().len());
        Ok(Reservation {
            buckets: debited.map(Bucket::to_owned).collect(),
            reserved: self.tokens,
            fields,
            context: self.context,
            store: self.store,
            outcome: Outcome::Running,
        })
    }
}

/// Tokens that are reserved for a request until it has ended; settled when it is dropped.
pub struct Reservation<S>
where
    S: LimitStore,
{
    buckets: Vec<OwnedBucket>,
    reserved: u32,
    /// What the client is told of it.
    fields: Option<Fields>,
    context: Option<RequestContext>,
    store: Arc<S>,
    outcome: Outcome,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// There is no answer yet: a client who leaves now has made the model work.
    Running,
    /// The answer is, or began as, a success.
    Served,
    /// It came to nothing: the answer is an error, or there is none.
    Refused,
}

impl<S> Hold for Reservation<S>
where
    S: LimitStore,
{
    fn head(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        let error = status.is_client_error() || status.is_server_error();
        self.outcome = if error || says_grpc_error(headers) {
            Outcome::Refused
        } else {
            Outcome::Served
        };
        if let Some(fields) = self.fields.take() {
            fields.write(headers);
        }
    }

    fn trailers(&mut self, trailers: &HeaderMap) {
        if says_grpc_error(trailers) {
            self.outcome = Outcome::Refused;
        }
    }

    fn end(mut self, end: End) {
        if self.outcome == Outcome::Running && end == End::Failed {
            self.outcome = Outcome::Refused;
        }
    }
}

impl<S> Drop for Reservation<S>
where
    S: LimitStore,
{
    fn drop(&mut self) {
        let usage = self.context.as_ref().and_then(RequestContext::usage);
        let charge = charge(self.reserved, usage, self.outcome);
        if charge == 0 {
            return;
        }
        for bucket in &self.buckets {
            self.store.settle(&bucket.as_bucket(), charge);
        }
    }
}

/// What is charged besides what was reserved; negative where it is given back.
fn charge(reserved: u32, usage: Option<Usage>, outcome: Outcome) -> i64 {
    let used = match (usage, outcome) {
        (Some(usage), _) => usage.prompt_tokens.saturating_add(usage.completion_tokens),
        (None, Outcome::Refused) => 0,
        (None, Outcome::Running | Outcome::Served) => reserved.into(),
    };
    i64::try_from(used).unwrap_or(i64::MAX) - i64::from(reserved)
}

/// gRPC says in a header or trailer what HTTP says in the status.
fn says_grpc_error(headers: &HeaderMap) -> bool {
    headers
        .get(&GRPC_STATUS)
        .is_some_and(|status| status != "0")
}

impl<S> fmt::Debug for Reservation<S>
where
    S: LimitStore,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation")
            .field("buckets", &self.buckets)
            .field("reserved", &self.reserved)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}
