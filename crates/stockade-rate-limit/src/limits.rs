//! The validated limits of one layer.

use std::{error::Error, fmt};

use http::HeaderValue;
use stockade_core::guard::Head;

use crate::{
    Bucket, Limit,
    compiled::{Buckets, CompiledLimit, OverrideQuotas},
    headers::{self, StaticPolicy},
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
    /// The `RateLimit-Policy` of requests that are counted by exactly the configured quotas.
    policy: Option<HeaderValue>,
    /// The same, if there is a single configured quota.
    single_policy: Option<&'static StaticPolicy>,
}

impl Limits {
    /// The highest number of quotas in total. A limit by principal uses at least three, one
    /// each per minute, hour and day, since a principal may override them.
    pub const MAX_QUOTAS: usize = 8;

    /// The longest name of a quota, in characters. Names of limits with several quotas must
    /// leave room for a suffix such as `-minute`.
    pub const MAX_NAME: usize = 64;

    /// Validates the limits.
    ///
    /// # Errors
    /// If a limit has no quota; a name is empty, longer than [`MAX_NAME`](Self::MAX_NAME), or
    /// contains other characters than visible ASCII and spaces; two limits have the same name;
    /// two quotas of a limit have the same period; or there are more than
    /// [`MAX_QUOTAS`](Self::MAX_QUOTAS).
    pub fn new(limits: impl IntoIterator<Item = Limit>) -> Result<Self, LimitsError> {
        let mut compiled: Vec<CompiledLimit> = Vec::new();
        for limit in limits {
            let limit = CompiledLimit::new(limit)?;
            // They would have the same quota ids, whatever their policy names are.
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
            _ => Ok(Self::compiled(compiled)),
        }
    }

    fn compiled(limits: Vec<CompiledLimit>) -> Self {
        let quotas: Vec<_> = limits.iter().flat_map(CompiledLimit::quotas).collect();
        let policy = headers::policy_value(quotas.iter().copied());
        let policy = policy.map(headers::static_value);
        let single_policy = match (&policy, &quotas[..]) {
            (Some(policy), [(name, _)]) => StaticPolicy::new(policy, name),
            _ => None,
        };
        Self {
            limits,
            policy,
            single_policy,
        }
    }

    /// The `RateLimit-Policy` of a request with these buckets; `unmodified` if they are
    /// exactly the configured quotas.
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

    /// The policy, if there is a single configured quota and it is announced.
    pub(crate) fn single_policy(&self) -> Option<&'static StaticPolicy> {
        self.single_policy
    }

    /// Adds the buckets of a request, with the overrides of its principal. A `cost` replaces
    /// the cost of each limit. Returns `true` if the buckets are exactly the configured
    /// quotas.
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

/// The error of an invalid set of limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitsError {
    kind: LimitsErrorKind,
    name: Box<str>,
}

/// The reason why limits are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LimitsErrorKind {
    /// A limit has no quota.
    NoQuota,
    /// Two quotas of one limit have the same period.
    SamePeriod,
    /// A name is empty, too long, or not representable in a header.
    Name,
    /// Two limits or two quotas have the same name.
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

    /// The kind of the error.
    pub fn kind(&self) -> LimitsErrorKind {
        self.kind
    }
}

impl fmt::Display for LimitsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match self.kind {
            LimitsErrorKind::NoQuota => write!(f, "the limit {name:?} has no quota; add one"),
            LimitsErrorKind::SamePeriod => write!(
                f,
                "the limit {name:?} has two quotas with the same period; keep the lower one"
            ),
            LimitsErrorKind::Name => write!(
                f,
                "{name:?} is not a valid name; use 1 to {} visible ASCII characters and spaces",
                Limits::MAX_NAME
            ),
            LimitsErrorKind::SameName => write!(
                f,
                "two quotas have the name {name:?}; give each a different name"
            ),
            LimitsErrorKind::TooMany => write!(
                f,
                "with the limit {name:?} there are more than {} quotas; move some to another \
                 layer",
                Limits::MAX_QUOTAS
            ),
        }
    }
}

impl Error for LimitsError {}
