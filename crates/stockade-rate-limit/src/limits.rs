//! The limits of one layer, checked once.

use std::{error::Error, fmt};

use http::HeaderValue;
use stockade_core::guard::Head;

use crate::{
    Bucket, Limit, QuotaStatus,
    compiled::{Buckets, CompiledLimit, OverrideQuotas},
    headers,
    rate_key::KeyExtractorError,
};

/// The limits of one layer, which are checked and debited together.
///
/// ```
/// use stockade_rate_limit::{KeyExtractor, Limit, Limits, LimitsErrorKind, Quota};
///
/// let limits = Limits::new([
///     Limit::new("ip", KeyExtractor::client_ip()).quota(Quota::per_minute(60)),
///     Limit::new("all", KeyExtractor::global()).quota(Quota::per_second(500)),
/// ]);
/// assert!(limits.is_ok());
///
/// let empty = Limits::new([Limit::new("ip", KeyExtractor::client_ip())]);
/// assert_eq!(empty.unwrap_err().kind(), LimitsErrorKind::NoQuota);
/// ```
#[derive(Debug)]
pub struct Limits {
    limits: Vec<CompiledLimit>,
    /// The `RateLimit-Policy` of a request that is counted by all of them as they are.
    policy: Option<HeaderValue>,
}

impl Limits {
    /// The most quotas of all limits together. A limit by principal needs three, one for a
    /// minute, an hour and a day each, whether it has them or a principal may bring them.
    pub const MAX_QUOTAS: usize = 8;

    /// The longest name of a quota, in characters. What a limit is called has to be a little
    /// shorter where `-minute` and the like come after it.
    pub const MAX_NAME: usize = 64;

    /// Checks the limits.
    ///
    /// # Errors
    /// When a limit has no quota, a name is empty, longer than [`MAX_NAME`](Self::MAX_NAME) or
    /// more than visible ASCII and spaces, two limits have one name, two quotas of a limit have one
    /// period, or there are more than [`MAX_QUOTAS`](Self::MAX_QUOTAS).
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, LimitsError> {
        let mut compiled: Vec<CompiledLimit> = Vec::new();
        for limit in limits {
            let limit = CompiledLimit::new(limit)?;
            // Theirs would be the same lanes, whatever their policies are called.
            if compiled.iter().any(|other| other.name() == limit.name()) {
                return Err(LimitsError::new(LimitsErrorKind::SameName, limit.name()));
            }
            for policy in limit.policies() {
                let visible = policy.chars().all(headers::is_sf_char);
                if policy.is_empty() || policy.len() > Self::MAX_NAME || !visible {
                    return Err(LimitsError::new(LimitsErrorKind::Name, policy));
                }
                if compiled
                    .iter()
                    .any(|other| other.policies().any(|it| it == policy))
                {
                    return Err(LimitsError::new(LimitsErrorKind::SameName, policy));
                }
            }
            compiled.push(limit);
        }
        let quotas = compiled
            .iter()
            .map(|limit| limit.policies().count())
            .sum::<usize>();
        match compiled.last() {
            Some(limit) if quotas > Self::MAX_QUOTAS => {
                Err(LimitsError::new(LimitsErrorKind::TooMany, limit.name()))
            }
            _ => Ok(Self {
                policy: headers::policy_value(compiled.iter().flat_map(CompiledLimit::quotas)),
                limits: compiled,
            }),
        }
    }

    /// The `RateLimit-Policy` of a request with these buckets, which are the usual ones or
    /// not.
    pub(crate) fn policy(&self, unmodified: bool, buckets: &[Bucket<'_>]) -> Option<HeaderValue> {
        match unmodified {
            true => self.policy.clone(),
            false => {
                let quotas = buckets.iter();
                let quotas = quotas.map(|bucket| (bucket.quota_id().field(), bucket.quota()));
                headers::policy_value(quotas)
            }
        }
    }

    /// Where a request was counted by one quota, as it is: the `RateLimit-Policy` and the
    /// `RateLimit` of that, at this level.
    pub(crate) fn single_quota_headers(
        &self,
        status: &QuotaStatus,
    ) -> Option<(HeaderValue, HeaderValue)> {
        let (policy, _) = self.limits.first()?.quotas().next()?;
        let status = headers::single_status_value(policy, status);
        Some((self.policy.clone()?, status))
    }

    /// Adds the buckets of a request, with what a principal has of its own. With a `cost`,
    /// each limit takes that instead of its own. `true` where all limits count it, as they
    /// are.
    pub(crate) fn buckets<'a>(
        &'a self,
        head: &'a Head,
        overrides: OverrideQuotas,
        cost: Option<u32>,
        buckets: &mut Buckets<'a>,
    ) -> Result<bool, KeyExtractorError> {
        let mut unmodified = true;
        for limit in &self.limits {
            unmodified &= limit.push_buckets(head, overrides, cost, buckets)?;
        }
        Ok(unmodified)
    }
}

/// Limits that cannot be in one layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsError {
    kind: LimitsErrorKind,
    name: Box<str>,
}

/// What is wrong with limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitsErrorKind {
    /// A limit has no quota, so it would limit nothing.
    NoQuota,
    /// Two quotas of one limit have the same period.
    SamePeriod,
    /// A name is empty, too long, or cannot be sent to clients.
    Name,
    /// Two limits have one name, or clients would see two quotas under one.
    SameName,
    /// There are more than [`Limits::MAX_QUOTAS`].
    TooMany,
}

impl LimitsError {
    pub(crate) fn new(kind: LimitsErrorKind, name: &str) -> Self {
        Self {
            kind,
            name: name.into(),
        }
    }

    /// What is wrong.
    pub fn kind(&self) -> LimitsErrorKind {
        self.kind
    }
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.kind {
            LimitsErrorKind::NoQuota => write!(f, "the limit {name:?} has no quota; give it one"),
            LimitsErrorKind::SamePeriod => write!(
                f,
                "the limit {name:?} has two quotas of one period; keep the lower one"
            ),
            LimitsErrorKind::Name => write!(
                f,
                "{name:?} is no name of a quota; take 1 to {} letters, digits and spaces",
                Limits::MAX_NAME
            ),
            LimitsErrorKind::SameName => write!(
                f,
                "two quotas have the name {name:?}; give each limit a name of its own"
            ),
            LimitsErrorKind::TooMany => write!(
                f,
                "with the limit {name:?} there are more than {} quotas; put some into another \
                 layer",
                Limits::MAX_QUOTAS
            ),
        }
    }
}

impl Error for LimitsError {}
