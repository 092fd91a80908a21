//! The limits of one guard, and what clients are told of them.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use http::{HeaderValue, request::Parts};
use stockade_core::{Refusal, RefusalKind, Violation};

use super::{ConcurrencyLimit, fields, stats::Counters};
use crate::{
    Missing, NoPermit, Place, StoreErrorKind,
    fields::{LEVEL, POLICY},
};

/// What all requests of one guard share.
#[derive(Debug)]
pub(super) struct Rules {
    limits: Vec<ConcurrencyLimit>,
    /// The `RateLimit-Policy` of a request that is counted by all limits as they are.
    policy: HeaderValue,
    pub(super) counters: Arc<Counters>,
}

/// A place that was asked for: by which limit, and how many of them there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    limit: usize,
    max: NonZeroU32,
}

/// Nobody knows when a place is free; often it is soon.
const RETRY_AFTER: Duration = Duration::from_secs(1);

impl Rules {
    pub(super) fn new(limits: impl IntoIterator<Item = ConcurrencyLimit>) -> Self {
        let limits: Vec<_> = limits.into_iter().collect();
        let all = limits.iter().map(|limit| (limit.name(), limit.max()));
        Self {
            policy: fields::policy(all),
            limits,
            counters: Arc::default(),
        }
    }

    /// The places that a request needs.
    pub(super) fn places<'a>(&'a self, head: &'a Parts) -> Result<Vec<Place<'a>>, Missing> {
        let mut places = Vec::with_capacity(self.limits.len());
        for limit in &self.limits {
            places.extend(limit.place(head)?);
        }
        Ok(places)
    }

    /// What is kept of the places while a request waits.
    pub(super) fn asked(&self, places: &[Place<'_>]) -> Vec<Asked> {
        let limit = |place: &Place<'_>| {
            let named = |limit: &ConcurrencyLimit| limit.name() == place.limit();
            let limit = self.limits.iter().position(named);
            limit.expect("a place is one of the limits'")
        };
        let asked = |place| Asked {
            limit: limit(place),
            max: place.max(),
        };
        places.iter().map(asked).collect()
    }

    /// The `RateLimit-Policy` of a request that needs these places.
    pub(super) fn policy(&self, places: &[Place<'_>]) -> HeaderValue {
        let all = self.limits.iter().map(ConcurrencyLimit::max);
        if all.eq(places.iter().map(Place::max)) {
            return self.policy.clone();
        }
        fields::policy(places.iter().map(|place| (place.limit(), place.max())))
    }

    /// The refusal of a request that got no permit.
    pub(super) fn refusal(
        &self,
        none: &NoPermit,
        asked: &[Asked],
        policy: &HeaderValue,
    ) -> Refusal {
        let Asked { limit, max } = match none {
            NoPermit::Full { place } => asked[(*place).min(asked.len() - 1)],
            NoPermit::Failed(error) => {
                self.counters.failed();
                return unavailable(error.kind());
            }
        };
        self.counters.refused();
        let limit = &self.limits[limit];
        if limit.is_overload() {
            return Refusal::new(
                RefusalKind::Unavailable,
                "the server is busy; try again in a moment",
            )
            .with_code("OVERLOADED")
            .retry_after(RETRY_AFTER);
        }
        let violation = Violation {
            subject: limit.name().to_owned().into(),
            description: format!("{max} at once").into(),
        };
        Refusal::new(
            RefusalKind::RateLimited,
            "too many requests at once; wait until one of them has ended",
        )
        .with_code("CONCURRENCY_LIMIT")
        .retry_after(RETRY_AFTER)
        .with_violation(violation)
        .with_header(POLICY, policy.clone())
        .with_header(LEVEL, fields::none_left(limit.name()))
    }
}

/// Nobody knows how many requests are running.
fn unavailable(kind: StoreErrorKind) -> Refusal {
    Refusal::new(
        RefusalKind::Unavailable,
        "the server cannot tell how many requests are running; try again in a moment",
    )
    .with_code("LIMITS_UNAVAILABLE")
    .because(kind.text())
    .retry_after(RETRY_AFTER)
}
