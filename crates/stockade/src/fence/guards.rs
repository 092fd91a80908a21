//! Guards from their sections of a configuration.

use std::sync::Arc;

use stockade_abuse::{AbuseEvent, DenyList, Detector};
use stockade_body::BodyRules;
use stockade_rate_limit::{Concurrency, RateLimit, SharedLimits};
use stockade_scope::{Access, RouteTableError, ScopeGuard};

use super::{
    FenceEvent,
    event::Listeners,
    limits,
    sources::Sources,
    store::{LimitsStore, PermitsStore, Stores},
};
use crate::{Config, ConfigError, HeaderStyle, RouteAccess};

pub(super) fn detector(
    config: &Config,
    stores: &Stores,
    listeners: &Listeners,
    sources: &mut Sources,
) -> Result<Option<Detector>, ConfigError> {
    if !config.abuse.enabled {
        return Ok(None);
    }
    let policy = config.abuse.policy(&config.client_ip)?;
    let listeners = listeners.clone();
    let mut builder = Detector::builder(policy)
        .on_event(move |event: &AbuseEvent| listeners.notify(&FenceEvent::Abuse(event.clone())));
    if let Some(path) = &config.abuse.deny_list {
        let list =
            DenyList::open(path).map_err(|error| ConfigError::of("abuse.deny_list", error))?;
        sources.add("abuse.deny_list", path.display(), list.health().clone());
        builder = builder.store(Arc::new(list));
    }
    if let Some(shared) = stores.bans() {
        builder = builder.store(shared);
    }
    Ok(Some(builder.build()))
}

pub(super) fn rate_limit(
    config: &Config,
    limits: Option<&SharedLimits>,
    store: &LimitsStore,
) -> Option<RateLimit<LimitsStore>> {
    let mut guard = RateLimit::with_store(limits?.clone(), store.clone());
    for style in &config.rate_limit.headers {
        guard = match style {
            HeaderStyle::Legacy => guard.x_ratelimit_headers(),
            HeaderStyle::LegacyEpoch => guard.x_ratelimit_epoch_headers(),
            HeaderStyle::OpenAi => guard.openai_headers(),
        };
    }
    Some(guard)
}

pub(super) fn concurrency(
    config: &Config,
    store: &PermitsStore,
) -> Result<Option<Concurrency<PermitsStore>>, ConfigError> {
    let limits = limits::concurrency(&config.concurrency, config.client_ip.ipv6_prefix()?);
    if limits.is_empty() {
        return Ok(None);
    }
    let guard = Concurrency::with_store(limits, store.clone());
    Ok(Some(match limits::queue(&config.concurrency) {
        Some((wait, waiters)) => guard.queue(wait, waiters),
        None => guard,
    }))
}

pub(super) fn bodies(config: &Config) -> BodyRules {
    let mut rules = config.body.rules();
    for route in &config.routes {
        let Some(body) = route.body else {
            continue;
        };
        for method in &route.methods {
            let profile = config.body.limited(body.profile());
            rules = rules.route(method.clone(), &*route.path, profile);
        }
    }
    rules
}

/// Builds the route table of `[[routes]]`.
pub(super) fn scopes(config: &Config) -> Result<ScopeGuard, ConfigError> {
    table(config, config.routes.len()).map_err(|error| {
        // The first route that conflicts with a previous one.
        let counts = 1..=config.routes.len();
        let bad = counts
            .into_iter()
            .find(|count| table(config, *count).is_err());
        let setting = match bad {
            Some(count) => format!("routes[{}].path", count - 1),
            None => "routes".to_owned(),
        };
        ConfigError::of(&setting, error)
    })
}

/// Builds the table of the first `count` routes.
fn table(config: &Config, count: usize) -> Result<ScopeGuard, RouteTableError> {
    let mut table = ScopeGuard::builder().realm(&config.auth.realm);
    for route in config.routes.iter().take(count) {
        let access = match &route.access {
            RouteAccess::Public => Access::public(),
            RouteAccess::Authenticated => Access::all_of([]),
            RouteAccess::Scope(scope) => Access::scope(scope.clone()),
        };
        for method in &route.methods {
            table = table.route(method.clone(), &*route.path, access.clone());
        }
    }
    table.build()
}
