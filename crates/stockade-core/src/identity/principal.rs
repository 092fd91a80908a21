//! Who a request was authenticated as.

use std::{collections::BTreeMap, fmt, num::NonZeroU32, sync::Arc};

use crate::identity::{Scope, ScopeSet};

/// Who a request was authenticated as. Cheap to clone.
///
/// An authenticator sets it in the [`RequestContext`](crate::context::RequestContext), where
/// guards and handlers read it.
///
/// ```
/// use stockade_core::identity::Principal;
///
/// let principal = Principal::builder("team-core")
///     .scopes("chat:write models:read".parse()?)
///     .models(["small".into()])
///     .attribute("tenant", "acme")
///     .build();
/// assert!(principal.may(&"chat:write".parse()?));
/// assert!(!principal.may_use_model("large"));
/// assert_eq!(principal.attribute("tenant"), Some("acme"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Principal(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    id: Box<str>,
    scopes: ScopeSet,
    attributes: BTreeMap<Box<str>, Box<str>>,
    models: Option<Box<[Box<str>]>>,
    quotas: QuotaOverrides,
}

impl Principal {
    /// Describes the principal of this id: a key's id, a token's subject.
    pub fn builder(id: impl Into<Box<str>>) -> PrincipalBuilder {
        PrincipalBuilder(Inner {
            id: id.into(),
            scopes: ScopeSet::default(),
            attributes: BTreeMap::new(),
            models: None,
            quotas: QuotaOverrides::default(),
        })
    }

    /// Who it is, for limits, bans and the audit log; no secret.
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// What it may do.
    pub fn scopes(&self) -> &ScopeSet {
        &self.0.scopes
    }

    /// Whether it may do what this scope stands for.
    pub fn may(&self, scope: &Scope) -> bool {
        self.0.scopes.grants(scope)
    }

    /// Whether it may use this model; all of them where none are named.
    pub fn may_use_model(&self, model: &str) -> bool {
        match &self.0.models {
            None => true,
            Some(models) => models.iter().any(|allowed| **allowed == *model),
        }
    }

    /// Limits of its own, in place of those that hold for all.
    pub fn quotas(&self) -> &QuotaOverrides {
        &self.0.quotas
    }

    /// What else the authenticator knows: `owner`, `name`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.0.attributes.get(name).map(Box::as_ref)
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("id", &self.0.id)
            .field("scopes", &self.0.scopes)
            .finish_non_exhaustive()
    }
}

/// Limits of one principal, in place of those that hold for all; `None` changes nothing.
///
/// An authenticator hands them on; the rate limit enforces them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaOverrides {
    /// Requests in a minute.
    pub requests_per_minute: Option<NonZeroU32>,
    /// Requests in an hour.
    pub requests_per_hour: Option<NonZeroU32>,
    /// Requests in a day.
    pub requests_per_day: Option<NonZeroU32>,
    /// Model tokens, prompt and completion, in a minute.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Concurrent requests.
    pub concurrency: Option<NonZeroU32>,
    /// The share of a model that others wait for, too: a principal of weight 2 gets twice the time
    /// of one of weight 1, which is the default.
    pub weight: Option<NonZeroU32>,
}

/// Builds a [`Principal`]; made by [`Principal::builder`].
pub struct PrincipalBuilder(Inner);

impl PrincipalBuilder {
    /// What the principal may do; nothing where this is not called.
    pub fn scopes(mut self, scopes: ScopeSet) -> Self {
        self.0.scopes = scopes;
        self
    }

    /// The only models that the principal may use.
    pub fn models(mut self, models: impl IntoIterator<Item = Box<str>>) -> Self {
        self.0.models = Some(models.into_iter().collect());
        self
    }

    /// Limits of the principal's own.
    pub fn quotas(mut self, quotas: QuotaOverrides) -> Self {
        self.0.quotas = quotas;
        self
    }

    /// Another attribute, for handlers and the audit log.
    pub fn attribute(mut self, name: impl Into<Box<str>>, value: impl Into<Box<str>>) -> Self {
        self.0.attributes.insert(name.into(), value.into());
        self
    }

    /// The principal.
    pub fn build(self) -> Principal {
        Principal(Arc::new(self.0))
    }
}

impl fmt::Debug for PrincipalBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PrincipalBuilder").field(&self.0.id).finish()
    }
}
