//! The fence: all layers, in the order in which they have to stand.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use stockade_abuse::Detector;
use stockade_audit::{AuditLog, Journal};
use stockade_core::identity::EitherAuth;
use stockade_jwt::JwtAuth;
use stockade_key_auth::KeyAuth;
use stockade_rate_limit::{Concurrency, SharedLimits};
use stockade_watch::SourceStatus;
use tower_layer::Layer;

use crate::{Config, ConfigError, Environment};

mod announce;
mod builder;
mod cors;
#[cfg(feature = "sql")]
mod database;
mod describe;
mod event;
mod faults;
mod help;
mod key_events;
mod keys;
mod layer;
mod limits;
mod probes;
mod record;
mod request_metrics;
mod route_adapter;
mod sources;
mod store;
mod tokens;

pub use builder::FenceBuilder;
pub use event::FenceEvent;
pub use layer::{FenceBody, FenceLayer, FenceService};
pub use request_metrics::RequestMetrics;
pub use route_adapter::RouteAdapter;
pub use store::{LimitsStore, PermitsStore, StoreHealth};

pub(crate) use faults::faults;

use cors::Cors;
use event::Listeners;
use sources::Sources;
use store::Stores;

/// Keys or tokens.
type Identity = Arc<EitherAuth<KeyAuth, JwtAuth>>;

/// All layers of one API. Made from a [`Config`], put around a router or a service with
/// [`layer`](Self::layer). Cloning shares it.
///
/// Layers and services keep alive what they depend on: the files and databases that are
/// followed, the log, shared stores. So a fence may be dropped once its layer is in place; it
/// is needed to [`reload`](Self::reload), for metrics and for readiness.
#[derive(Clone)]
pub struct Fence(Arc<Inner>);

struct Inner {
    description: String,
    config_warnings: AtomicU64,
    layer: FenceLayer,
    detector: Option<Detector>,
    by_ip: Option<SharedLimits>,
    by_key: Option<SharedLimits>,
    token_budget: Option<SharedLimits>,
    at_once: Option<Concurrency<PermitsStore>>,
    cors: Option<Cors>,
    listeners: Listeners,
    audit: AuditLog,
    stores: Stores,
    sources: Sources,
}

impl Fence {
    /// The fence of this configuration file, TOML or YAML, with the settings of the process's
    /// environment (`STOCKADE_…`) taking precedence.
    ///
    /// ```no_run
    /// use axum::{Router, routing::get};
    /// use stockade::Fence;
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), stockade::ConfigError> {
    ///     let fence = Fence::from_file("stockade.toml").await?;
    ///     let app: Router = Router::new().route("/", get(async || "hello")).layer(fence);
    ///     let _ = app;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`Config::read`] and [`from_config`](Self::from_config).
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let config = Config::read(path, &Environment::from_process())?;
        Self::from_config(&config).await
    }

    /// The fence of this configuration.
    ///
    /// # Errors
    /// When a file cannot be read, or settings do not go together; the error names them.
    pub async fn from_config(config: &Config) -> Result<Self, ConfigError> {
        Self::builder(config).build().await
    }

    /// A fence with parts that are chosen in the program.
    pub fn builder(config: &Config) -> FenceBuilder<'_> {
        FenceBuilder::new(config)
    }

    /// The layer: put it on once, after routing, so that the matched route is known.
    pub fn layer(&self) -> FenceLayer {
        self.0.layer.clone()
    }

    /// Who is banned, and why; `None` where abuse is not detected.
    pub fn detector(&self) -> Option<&Detector> {
        self.0.detector.as_ref()
    }

    /// The log of requests: for events of one's own, to flush it before the end, and to
    /// open its files anew.
    pub fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    /// Takes over the quotas, the abuse policy and the web pages of another configuration.
    /// Keys and deny-lists are followed without that.
    ///
    /// # Errors
    /// When something of it cannot be; then nothing is changed. What was off when the fence
    /// was made cannot be switched on: that needs a restart, and the error says so.
    pub fn reload(&self, config: &Config) -> Result<(), ConfigError> {
        self.take_over(config)
            .map_err(|error| error.locate(config.origins()))?;
        announce::settings(config);
        let warnings = config.warnings().len() as u64;
        self.0.config_warnings.store(warnings, Ordering::Relaxed);
        Ok(())
    }

    fn take_over(&self, config: &Config) -> Result<(), ConfigError> {
        let inner = &self.0;
        let by_ip = pair("rate_limit.by_ip", &inner.by_ip, limits::by_ip(config)?)?;
        let by_key = pair("rate_limit.by_key", &inner.by_key, limits::by_key(config)?)?;
        let tokens = pair("token_budget", &inner.token_budget, limits::tokens(config)?)?;
        let policy = config.abuse.policy(&config.client_ip)?;
        match (&inner.cors, config.cors.allow_origins.is_empty()) {
            (Some(cors), _) => cors.replace(&config.cors)?,
            (None, true) => {}
            (None, false) => return Err(needs_restart("cors")),
        }
        for (shared, limits) in [by_ip, by_key, tokens].into_iter().flatten() {
            shared.replace(limits);
        }
        if let Some(detector) = &inner.detector {
            detector.set_policy(policy);
        }
        inner.listeners.tell(&FenceEvent::Reloaded);
        Ok(())
    }

    /// How the store does that replicas share; `None` where there is none. For readiness.
    pub fn store_health(&self) -> Option<StoreHealth> {
        self.0.stores.health()
    }

    /// How each watched source fares: the key file or database, the key of tokens, the file
    /// of revoked ones, and the deny-list. For readiness: while a source is failing, what was
    /// read last is in force, and a key or a token that was revoked since, or a client that
    /// was banned since, may pass.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.0.sources.status()
    }

    /// Sets the gauges: bans, tracked clients, requests at once, the health of stores, how
    /// the log does, and for each watched source `stockade_source_age_seconds`,
    /// `stockade_source_failing` and `stockade_source_failures_total`. Call it before metrics
    /// are read out.
    pub fn record_gauges(&self) {
        let warnings = self.0.config_warnings.load(Ordering::Relaxed);
        gauge("stockade_config_warnings", warnings);
        if let Some(detector) = &self.0.detector {
            let stats = detector.stats();
            gauge("stockade_banned_clients", stats.banned_entities as u64);
            gauge("stockade_tracked_offenders", stats.tracked_entities as u64);
            gauge(
                "stockade_deny_list_skipped_lines",
                stats.skipped_lines as u64,
            );
            metrics::counter!("stockade_denied_total").absolute(stats.denied_count);
            metrics::counter!("stockade_would_deny_total").absolute(stats.would_deny_count);
        }
        if let Some(at_once) = &self.0.at_once {
            let stats = at_once.stats();
            gauge("stockade_requests_in_flight", stats.in_use);
            gauge("stockade_requests_waiting", stats.waiting);
        }
        if let Some(health) = self.store_health() {
            gauge("stockade_store_up", health.up.into());
            metrics::counter!("stockade_store_failures_total").absolute(health.failures);
            let without = health.decided_without;
            metrics::counter!("stockade_store_decided_without_total").absolute(without);
            metrics::counter!("stockade_store_lost_debits_total").absolute(health.lost_debits);
            metrics::counter!("stockade_store_lost_permits_total").absolute(health.lost_permits);
        }
        record_log(&self.0.audit);
        self.0.sources.record();
    }
}

/// All journals of the log together.
fn record_log(log: &AuditLog) {
    let (mut waiting, mut failing, mut lost, mut errors) = (0, 0, 0, 0);
    for stats in log.journals().map(Journal::stats) {
        waiting += stats.queued_bytes as u64;
        failing += u64::from(stats.failing);
        lost += stats.dropped;
        errors += stats.errors;
    }
    gauge("stockade_audit_queued_bytes", waiting);
    gauge("stockade_audit_failing_journals", failing);
    metrics::counter!("stockade_audit_dropped_total").absolute(lost);
    metrics::counter!("stockade_audit_write_errors_total").absolute(errors);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn gauge(name: &'static str, value: u64) {
    metrics::gauge!(name).set(value as f64);
}

/// What is to be replaced by what.
fn pair<'f, T>(
    setting: &str,
    shared: &'f Option<SharedLimits>,
    new: Option<T>,
) -> Result<Option<(&'f SharedLimits, T)>, ConfigError> {
    match (shared, new) {
        (Some(shared), Some(new)) => Ok(Some((shared, new))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(needs_restart(setting)),
    }
}

fn needs_restart(setting: &str) -> ConfigError {
    ConfigError::setting(
        setting,
        "it was switched on or off, which needs a restart; nothing was changed",
    )
}

impl fmt::Display for Fence {
    /// What the fence does, a line for each layer; to be written at the start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.description)
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fence").field(&self.0.description).finish()
    }
}

impl<S> Layer<S> for Fence
where
    FenceLayer: Layer<S>,
{
    type Service = <FenceLayer as Layer<S>>::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.0.layer.layer(inner)
    }
}
