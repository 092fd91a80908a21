//! A limit whose quotas have their lanes.

use std::num::NonZeroU32;

use arrayvec::ArrayVec;
use stockade_core::{guard::Head, identity::QuotaOverrides};

use crate::{
    Bucket, KeyExtractor, Limit, Limits, LimitsError, LimitsErrorKind, Quota, bucket::QuotaId,
    key_extractor::ExtractedKey, limit::Cost, rate_key::KeyExtractorError,
};

/// The buckets of one request.
pub(crate) type Buckets<'a> = ArrayVec<Bucket<'a>, { Limits::MAX_QUOTAS }>;

/// What a principal has of its own, in a minute, an hour and a day.
pub(crate) type Own = fn(&QuotaOverrides) -> [Option<NonZeroU32>; 3];

/// What [`Own`] speaks of; the counts are the principal's.
const OWN: [Quota; 3] = [Quota::per_minute(1), Quota::per_hour(1), Quota::per_day(1)];

#[derive(Debug)]
pub(crate) struct Rule {
    name: Box<str>,
    extractor: KeyExtractor,
    cost: Cost,
    stacked: Vec<Stacked>,
    /// In which a principal is counted that brings a quota of a period of its own.
    brought: Vec<Stacked>,
}

#[derive(Debug)]
struct Stacked {
    quota_id: QuotaId,
    quota: Quota,
    /// Where in [`OWN`] its period is.
    own: Option<usize>,
}

impl Rule {
    pub(crate) fn new(limit: Limit) -> Result<Self, LimitsError> {
        let Limit {
            name,
            extractor,
            quotas,
            cost,
        } = limit;
        if quotas.is_empty() {
            return Err(LimitsError::new(LimitsErrorKind::NoQuota, &name));
        }
        let alone = quotas.len() == 1;
        let mut stacked: Vec<Stacked> = Vec::new();
        for (policy, quota) in quotas {
            if stacked
                .iter()
                .any(|other| other.quota.period() == quota.period())
            {
                return Err(LimitsError::new(LimitsErrorKind::SamePeriod, &name));
            }
            let policy = policy
                .or_else(|| alone.then(|| name.clone()))
                .unwrap_or_else(|| by_period(&name, quota));
            stacked.push(Stacked::new(&name, &policy, quota));
        }
        let brought = OWN
            .into_iter()
            .filter(|own| {
                let has = |other: &Stacked| other.quota.period() == own.period();
                extractor.is_principal() && !stacked.iter().any(has)
            })
            .map(|own| Stacked::new(&name, &by_period(&name, own), own))
            .collect();
        Ok(Self {
            name,
            extractor,
            cost,
            stacked,
            brought,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What clients know its quotas by.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &str> {
        let all = self.stacked.iter().chain(&self.brought);
        all.map(|stacked| stacked.quota_id.policy_name())
    }

    /// Its quotas as they are, and what a policy calls them.
    pub(crate) fn stacked(&self) -> impl Iterator<Item = (&str, Quota)> {
        let quotas = self.stacked.iter();
        quotas.map(|stacked| (stacked.quota_id.field(), stacked.quota))
    }

    /// Adds the buckets that a request is counted in; `true` where those are all of its
    /// quotas, as they are.
    #[inline]
    pub(crate) fn charge<'a>(
        &'a self,
        head: &'a Head,
        own: Own,
        cost: Option<u32>,
        buckets: &mut Buckets<'a>,
    ) -> Result<bool, KeyExtractorError> {
        let Some(ExtractedKey { key, principal }) = self.extractor.extract_with_principal(head)?
        else {
            return Ok(false);
        };
        let cost = cost.unwrap_or_else(|| self.cost.of(head));
        let own = principal.map(|principal| own(principal.quotas()));
        let Some(own) = own.filter(|own| own.iter().any(Option::is_some)) else {
            for Stacked {
                quota_id, quota, ..
            } in &self.stacked
            {
                buckets.push(Bucket::new(quota_id, key, *quota, cost));
            }
            return Ok(true);
        };
        let mut usual = true;
        for stacked in &self.stacked {
            let brought = stacked.of(&own);
            usual &= brought.is_none();
            let quota = brought.unwrap_or(stacked.quota);
            buckets.push(Bucket::new(&stacked.quota_id, key, quota, cost));
        }
        for stacked in &self.brought {
            if let Some(quota) = stacked.of(&own) {
                usual = false;
                buckets.push(Bucket::new(&stacked.quota_id, key, quota, cost));
            }
        }
        Ok(usual)
    }
}

impl Stacked {
    fn new(limit: &str, policy: &str, quota: Quota) -> Self {
        Self {
            quota_id: QuotaId::new(limit, policy, quota),
            quota,
            own: OWN.iter().position(|own| own.period() == quota.period()),
        }
    }

    /// The quota of a principal that brings one of this period.
    fn of(&self, own: &[Option<NonZeroU32>; 3]) -> Option<Quota> {
        let count = own[self.own?]?;
        Some(self.quota.with_count(count))
    }
}

/// `ip-minute`
fn by_period(limit: &str, quota: Quota) -> Box<str> {
    let mut policy = format!("{limit}-");
    quota
        .write_period(&mut policy)
        .expect("a string takes every text");
    policy.into()
}
