//! The fence: all layers of an API in the required order.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::Extensions;
use stockade_abuse::Detector;
use stockade_audit::{AuditLog, Journal};
use stockade_core::identity::EitherAuth;
use stockade_key_auth::{KeyAuth, KeyStore};
use stockade_rate_limit::{Concurrency, SharedLimits};
use stockade_watch::SourceStatus;
use tower_layer::Layer;

use crate::{Config, ConfigError, Environment, config::Settings};

mod builder;
mod cors;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod database;
mod event;
mod guards;
mod key_changes;
mod keys;
mod layer;
mod limits;
mod log_warnings;
mod metric_descriptions;
mod probes;
mod record;
mod request_metrics;
mod route_adapter;
mod service;
mod sources;
mod store;
mod streams;
mod summary;
mod tokens;
mod validate;

pub use builder::FenceBuilder;
pub use event::FenceEvent;
pub use layer::FenceLayer;
pub use request_metrics::RequestMetrics;
pub use service::{FenceBody, FenceFuture, FenceResponseBody, FenceService};
pub use store::StoreHealth;
pub use streams::{AccessEnded, FinalEvent};

pub(crate) use validate::validate;

use cors::Cors;
use event::Listeners;
use sources::Sources;
use store::{PermitsStore, Stores};
use streams::Streams;
use tokens::TokenAuth;

/// Authentication by keys or tokens.
type Identity = Arc<EitherAuth<KeyAuth, TokenAuth>>;

/// All layers of an API, built from a [`Config`] and applied to a router or service with
/// [`layer`](Self::layer). Cheap to clone.
///
/// Layers and services keep their dependencies alive: watched files and databases, the audit
/// log, shared stores. A fence may therefore be dropped once its layer is applied; keep it to
/// [`reload`](Self::reload), for metrics and for readiness.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use stockade::{Config, Environment, Fence, Format};
///
/// # let folder = tempfile::tempdir()?;
/// # std::fs::write(folder.path().join("keys.yaml"), "format: 2\nkeys: []\nend: true\n")?;
/// let text = "
///     [auth]
///     keys_file = 'keys.yaml'
///     [[routes]]
///     path = '/v1/models'
///     methods = 'GET'
///     access = 'models:read'
/// ";
/// let mut config = Config::parse(text, Format::Toml, &Environment::default())?;
/// # config.resolve_paths(folder.path());
/// let fence = Fence::from_config(&config).await?;
/// let layer = fence.layer(); // for `Router::layer` or a `ServiceBuilder`
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fence(Arc<Inner>);

struct Inner {
    summary: String,
    key_store: Arc<dyn KeyStore>,
    /// The settings at the start.
    settings: Settings,
    config_warnings: AtomicU64,
    layer: FenceLayer,
    detector: Option<Detector>,
    by_ip: Option<SharedLimits>,
    by_key: Option<SharedLimits>,
    token_budget: Option<SharedLimits>,
    concurrency: Option<Concurrency<PermitsStore>>,
    cors: Option<Cors>,
    listeners: Listeners,
    audit: AuditLog,
    stores: Stores,
    sources: Sources,
    streams: Streams,
}

impl Fence {
    /// Builds a fence from a configuration file, TOML or YAML. Variables of the process
    /// (`STOCKADE_…`) take precedence over the file.
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
    /// Returns the errors of [`Config::read`] and [`from_config`](Self::from_config).
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let config = Config::read(path, &Environment::from_process())?;
        Self::from_config(&config).await
    }

    /// Builds a fence from a configuration.
    ///
    /// # Errors
    /// When a file cannot be read or settings conflict; the error names them.
    pub async fn from_config(config: &Config) -> Result<Self, ConfigError> {
        Self::builder(config).build().await
    }

    /// Starts a fence with parts that the program provides, such as its own guards.
    pub fn builder(config: &Config) -> FenceBuilder<'_> {
        FenceBuilder::new(config)
    }

    /// The layer. Apply it once, after routing, so that the matched route is known.
    pub fn layer(&self) -> FenceLayer {
        self.0.layer.clone()
    }

    /// The store of the keys, to list, create and change them. A change is active for requests that
    /// begin after its future has resolved.
    pub fn key_store(&self) -> &Arc<dyn KeyStore> {
        &self.0.key_store
    }

    /// The abuse detector with the current bans; `None` if `abuse.enabled` is `false`.
    pub fn detector(&self) -> Option<&Detector> {
        self.0.detector.as_ref()
    }

    /// The audit log: to record custom events, to flush it on shutdown, and to reopen its
    /// files.
    pub fn audit(&self) -> &AuditLog {
        &self.0.audit
    }

    /// A future that resolves when a new request of this client would be refused, with that
    /// refusal: its key is revoked or has expired, its token is, it was banned, or it has used
    /// more tokens than its budget has left, as far as the handler has
    /// [reported](stockade_core::context::RequestContext::set_usage) them.
    ///
    /// `request` are the extensions of a request that the fence has admitted. The fence itself
    /// ends streams of server-sent events and of gRPC, and those with a [`FinalEvent`], unless
    /// `streams.cut` is off; the future is for others, such as WebSockets.
    ///
    /// ```
    /// use http::Extensions;
    /// use stockade::Fence;
    ///
    /// async fn socket(fence: Fence, request: Extensions) {
    ///     tokio::select! {
    ///         refusal = fence.access_ended(&request) => eprintln!("closed: {}", refusal.code()),
    ///         () = serve() => {}
    ///     }
    /// }
    /// # async fn serve() {}
    /// # let _ = socket;
    /// ```
    pub fn access_ended(&self, request: &Extensions) -> AccessEnded {
        self.0.streams.access_ended(request)
    }

    /// Applies the quotas, the abuse policy, `streams.cut` and the CORS settings of another
    /// configuration.
    /// Changes of keys and deny-lists need no reload.
    ///
    /// Returns the names of the other settings that have changed since the start, such as
    /// `concurrency.total`, those of the program's sections included: they take effect at the
    /// next start.
    ///
    /// # Errors
    /// When a setting is invalid, or a limit would be enabled or disabled, which requires a
    /// restart. The previous configuration stays in effect.
    pub fn reload(&self, config: &Config) -> Result<Vec<String>, ConfigError> {
        let settings = config.located_settings();
        self.apply(config).map_err(|error| error.locate(settings))?;
        log_warnings::log_warnings(config);
        let warnings = config.warnings().len() as u64;
        self.0.config_warnings.store(warnings, Ordering::Relaxed);
        let changed = self.0.settings.differences(settings).into_iter();
        let pending = changed.filter(|name| !is_reloaded(name));
        Ok(pending.map(str::to_owned).collect())
    }

    fn apply(&self, config: &Config) -> Result<(), ConfigError> {
        let inner = &self.0;
        let by_ip = pair_limits("rate_limit.by_ip", &inner.by_ip, limits::by_ip(config)?)?;
        let by_key = pair_limits("rate_limit.by_key", &inner.by_key, limits::by_key(config)?)?;
        let tokens = pair_limits("token_budget", &inner.token_budget, limits::tokens(config)?)?;
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
        inner.streams.set_enabled(config.streams.cut);
        inner.listeners.notify(&FenceEvent::Reloaded);
        Ok(())
    }

    /// The health of the shared store, for readiness; `None` without one.
    pub fn store_health(&self) -> Option<StoreHealth> {
        self.0.stores.health()
    }

    /// The status of each watched source, for readiness: the key file or database, the key of
    /// tokens, the file of revoked tokens, and the deny-list. While a source is failing, its
    /// last content stays in effect: keys and tokens revoked since then are accepted, and
    /// clients banned since then are admitted.
    pub fn sources(&self) -> Vec<SourceStatus> {
        self.0.sources.status()
    }

    /// Updates the gauges: bans, tracked clients, concurrent requests, the health of stores and
    /// of the audit log, and for each watched source `stockade_source_age_seconds`,
    /// `stockade_source_failing` and `stockade_source_failures_total`. Call it before each
    /// scrape.
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
        gauge("stockade_open_streams", self.0.streams.count() as u64);
        if let Some(concurrency) = &self.0.concurrency {
            let stats = concurrency.stats();
            gauge("stockade_requests_in_flight", stats.in_use);
            gauge("stockade_requests_waiting", stats.waiting);
        }
        if let Some(health) = self.store_health() {
            gauge("stockade_store_up", health.up.into());
            metrics::counter!("stockade_store_failures_total").absolute(health.failures);
            metrics::counter!("stockade_store_decided_without_total")
                .absolute(health.fallback_decisions);
            metrics::counter!("stockade_store_lost_debits_total").absolute(health.lost_debits);
            metrics::counter!("stockade_store_lost_permits_total").absolute(health.lost_permits);
        }
        record_log(&self.0.audit);
        self.0.sources.record();
    }
}

/// Whether [`Fence::reload`] applies a change of this setting.
fn is_reloaded(setting: &str) -> bool {
    match setting.split_once('.') {
        Some(("abuse", name)) => !matches!(name, "enabled" | "deny_list" | "ban_valid_keys"),
        Some(("cors", _)) => true,
        Some(("rate_limit", name)) => matches!(name, "by_ip" | "by_key"),
        Some(("streams", name)) => name == "cut",
        Some(("token_budget", name)) => matches!(name, "by_key" | "by_key_and_model"),
        _ => false,
    }
}

/// Records the sums over all journals of the log.
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

/// Pairs the limits in effect with their replacement.
fn pair_limits<'f, T>(
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
        "enabling or disabling it requires a restart; nothing was changed",
    )
    .help(format!("restart the server, or restore {setting}"))
}

impl fmt::Display for Fence {
    /// Summarizes the fence, one line per layer; for the startup log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.summary)
    }
}

impl fmt::Debug for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fence").field(&self.0.summary).finish()
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
