//! A validated limit, with the ids of its quotas.

use std::num::NonZeroU32;

use arrayvec::ArrayVec;
use stockade_core::{guard::Head, identity::QuotaOverrides};

use crate::{
    Bucket, KeyExtractor, Limit, Limits, LimitsError, LimitsErrorKind, Quota,
    key_extractor::ExtractedKey, limit::Cost, quota_id::QuotaId, rate_key::KeyExtractorError,
};

/// The buckets of one request.
pub(crate) type Buckets<'a> = ArrayVec<Bucket<'a>, { Limits::MAX_QUOTAS }>;

/// The quotas that a principal overrides: per minute, hour and day.
pub(crate) type OverrideQuotas = fn(&QuotaOverrides) -> [Option<NonZeroU32>; 3];

/// The periods of [`OverrideQuotas`]; the counts come from the principal.
const OVERRIDE_PERIODS: [Quota; 3] = [Quota::per_minute(1), Quota::per_hour(1), Quota::per_day(1)];

#[derive(Debug)]
pub(crate) struct CompiledLimit {
    name: Box<str>,
    extractor: KeyExtractor,
    cost: Cost,
    quotas: Vec<CompiledQuota>,
    /// Used only by principals that override a period which the limit itself does not have.
    override_quotas: Vec<CompiledQuota>,
}

#[derive(Debug)]
struct CompiledQuota {
    quota_id: QuotaId,
    quota: Quota,
    /// The index of its period in [`OVERRIDE_PERIODS`].
    override_index: Option<usize>,
}

impl CompiledLimit {
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
        let mut compiled: Vec<CompiledQuota> = Vec::new();
        for (policy, quota) in quotas {
            if compiled
                .iter()
                .any(|other| other.quota.period() == quota.period())
            {
                return Err(LimitsError::new(LimitsErrorKind::SamePeriod, &name));
            }
            let policy = policy
                .or_else(|| alone.then(|| name.clone()))
                .unwrap_or_else(|| by_period(&name, quota));
            compiled.push(CompiledQuota::new(&name, &policy, quota));
        }
        let override_quotas = OVERRIDE_PERIODS
            .into_iter()
            .filter(|quota| {
                let has = |other: &CompiledQuota| other.quota.period() == quota.period();
                extractor.is_principal() && !compiled.iter().any(has)
            })
            .map(|quota| CompiledQuota::new(&name, &by_period(&name, quota), quota))
            .collect();
        Ok(Self {
            name,
            extractor,
            cost,
            quotas: compiled,
            override_quotas,
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The names of its quotas that clients see.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &str> {
        let all = self.quotas.iter().chain(&self.override_quotas);
        all.map(|quota| quota.quota_id.policy_name())
    }

    /// The configured quotas, with their names as structured fields.
    pub(crate) fn quotas(&self) -> impl Iterator<Item = (&str, Quota)> {
        let quotas = self.quotas.iter();
        quotas.map(|quota| (quota.quota_id.field(), quota.quota))
    }

    /// Adds the buckets of a request. Returns `true` if they are exactly the configured
    /// quotas.
    #[inline]
    pub(crate) fn push_buckets<'a>(
        &'a self,
        head: &'a Head,
        overrides: OverrideQuotas,
        cost: Option<u32>,
        buckets: &mut Buckets<'a>,
    ) -> Result<bool, KeyExtractorError> {
        let Some(ExtractedKey { key, principal }) = self.extractor.extract_with_principal(head)?
        else {
            return Ok(false);
        };
        let cost = cost.unwrap_or_else(|| self.cost.of(head));
        let overrides = principal.map(|principal| overrides(principal.quotas()));
        let Some(overrides) = overrides.filter(|overrides| overrides.iter().any(Option::is_some))
        else {
            for CompiledQuota {
                quota_id, quota, ..
            } in &self.quotas
            {
                buckets.push(Bucket::new(quota_id, key, *quota, cost));
            }
            return Ok(true);
        };
        let mut unmodified = true;
        for compiled in &self.quotas {
            let overridden = compiled.overridden(&overrides);
            unmodified &= overridden.is_none();
            let quota = overridden.unwrap_or(compiled.quota);
            buckets.push(Bucket::new(&compiled.quota_id, key, quota, cost));
        }
        for compiled in &self.override_quotas {
            if let Some(quota) = compiled.overridden(&overrides) {
                unmodified = false;
                buckets.push(Bucket::new(&compiled.quota_id, key, quota, cost));
            }
        }
        Ok(unmodified)
    }
}

impl CompiledQuota {
    fn new(limit: &str, policy: &str, quota: Quota) -> Self {
        Self {
            quota_id: QuotaId::new(limit, policy, quota),
            quota,
            override_index: OVERRIDE_PERIODS
                .iter()
                .position(|other| other.period() == quota.period()),
        }
    }

    /// The quota of a principal that overrides this period.
    fn overridden(&self, overrides: &[Option<NonZeroU32>; 3]) -> Option<Quota> {
        let count = overrides[self.override_index?]?;
        Some(self.quota.with_count(count))
    }
}

/// `ip-minute`
fn by_period(limit: &str, quota: Quota) -> Box<str> {
    let mut policy = format!("{limit}-");
    quota
        .write_period(&mut policy)
        .expect("writing to a string never fails");
    policy.into()
}
