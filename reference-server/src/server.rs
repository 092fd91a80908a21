//! The server: a listener, the fence and the API behind it.

use std::{collections::HashMap, net::SocketAddr, num::NonZeroUsize, time::Duration};

use metrics_exporter_prometheus::PrometheusHandle;
use stockade::{Fence, SecurityHeadersLayer};
use stockade_core::client::TrustedProxies;
use tokio::{net::TcpListener, sync::watch};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

mod addresses;
mod connection;
mod descriptors;
mod frame_budget;
mod handshake;
mod http2_frames;
mod in_flight;
mod listener;
mod metrics_listener;
mod pressure;
mod prometheus;
mod response_body;
mod shutdown;
mod socket;
mod sources;
mod unread_body;
mod workers;

pub use shutdown::{ShutdownReport, ShutdownSignal};
pub(crate) use sources::{SourceReport, Sources};

pub(crate) use shutdown::{requested, shutdown_signals};

use crate::{
    Config, DocsConfig, StartError,
    admin::{self, AdminLinks, AdminParts, AdminServer},
    alerts::{Alerts, Watched},
    api::{self, ApiLimits},
    fence::{self, BodyLimit, DeadlinePolicy, HostGuard, ServerLayers},
    models::Models,
    reload::ReloadHandle,
    systemd::Sockets,
    telemetry::Telemetry,
    tls::{self, WatchedTls},
};
use addresses::Addresses;
use connection::ConnectionLimits;
use metrics_listener::MetricsListener;
use pressure::Pressure;
use prometheus::Scrape;
use workers::Workers;

/// A server that is bound to its address; [`run`](Self::run) serves requests with a backend.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<WatchedTls>,
    sources: Sources,
    fence: Fence,
    layers: ServerLayers,
    prometheus: PrometheusHandle,
    api: ApiLimits,
    docs: DocsConfig,
    connections: ConnectionLimits,
    addresses: Addresses,
    workers: Workers,
    admin: Option<AdminServer>,
    admin_workers: Workers,
    metrics: Option<MetricsListener>,
    alerts: Option<Alerts>,
    proxies: TrustedProxies,
    config: Config,
    telemetry: Option<Telemetry>,
    reload: Option<ReloadHandle>,
}

impl Server {
    /// Binds the address, and loads the certificate and the keys.
    ///
    /// # Errors
    /// Returns an error if one of these fails or a setting is invalid.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        Self::bind_to(config, Sockets::default()).await
    }

    /// Binds the addresses that no socket listens on yet, and loads the certificate and the keys.
    ///
    /// # Errors
    /// Returns an error if one of these fails, a setting is invalid, or a socket is not used.
    pub(crate) async fn bind_to(config: &Config, mut sockets: Sockets) -> Result<Self, StartError> {
        let address = config.server.listen;
        let (listener, address) = sockets.bind(address, "--listen").await?;
        let hosts = HostGuard::new(&config.server.hosts)?;
        // Before anything is counted, so that all metrics are described.
        let prometheus = prometheus::install();
        let telemetry = Telemetry::open(config, prometheus::DURATION_BUCKETS)?;
        let max_connections = descriptors::connection_limit(config.server.max_connections.get());
        let tls = config.server.tls.as_ref().map(WatchedTls::open);
        let tls = tls.transpose()?;
        // After the bind, because the fence opens the audit log: a second server must fail
        // without writing to it.
        let limited = apply_server_limits(config);
        let max_tokens = default_max_tokens(config);
        let admin = match &config.admin {
            Some(admin) => Some(AdminServer::bind(admin, &mut sockets).await?),
            None => None,
        };
        let metrics = match config.metrics.listen {
            Some(address) => Some(MetricsListener::bind(address, &mut sockets).await?),
            None => None,
        };
        sockets.finish()?;
        let parts = admin.as_ref().map(AdminServer::fence_parts).transpose()?;
        let mut alerts = Alerts::open(config)?;
        let copy = alerts.as_mut().and_then(Alerts::take_journal);
        let fence = fence::build(
            &limited,
            config.log.format,
            config.docs,
            max_tokens,
            parts,
            copy,
        );
        let fence = fence.await?;
        let stale = seconds(config.server.stale_keys_timeout_secs);
        let mut sources = Sources::new(fence.clone(), stale);
        tls.iter().for_each(|tls| sources.add(tls.health()));
        let hsts = config.server.tls.as_ref().map_or(0, |tls| tls.hsts_secs);
        let workers = Workers::start().map_err(no_threads)?;
        let proxies = config.fence.client_ip.proxies();
        let proxies = proxies.map_err(|error| StartError::new(error.to_string()))?;
        let headers = SecurityHeadersLayer::new().hsts(seconds(hsts));
        let addresses = Addresses::from_config(config, max_connections, proxies.clone())?;
        Ok(Self {
            listener,
            address,
            tls,
            sources,
            fence,
            layers: ServerLayers {
                hosts,
                headers,
                deadlines: DeadlinePolicy {
                    timeout: seconds(config.server.request_timeout_secs.get()),
                    abort: CancellationToken::new(),
                },
                body_limit: BodyLimit::mebibytes(config.server.max_body_mb.get().into()),
            },
            prometheus,
            api: ApiLimits {
                body_timeout: seconds(config.server.body_timeout_secs.get()),
                unknown_fields: config.server.unknown_fields(),
            },
            docs: config.docs,
            connections: ConnectionLimits {
                max_connections,
                header_timeout: seconds(config.server.header_timeout_secs.get()),
                request_timeout: seconds(config.server.request_timeout_secs.get()),
                shutdown_grace: seconds(config.server.shutdown_grace_secs),
            },
            addresses,
            workers,
            admin,
            // A thread of its own, so that requests of the API do not delay the administration.
            admin_workers: Workers::with_threads(NonZeroUsize::MIN).map_err(no_threads)?,
            metrics,
            alerts,
            proxies,
            config: config.clone(),
            telemetry,
            reload: None,
        })
    }

    /// The local address; with the assigned port if port 0 was configured.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves these models until `shutdown` requests a stop.
    pub async fn run(
        mut self,
        models: Models,
        shutdown: watch::Receiver<ShutdownSignal>,
    ) -> ShutdownReport {
        self.administer(&models);
        let store = self.admin.as_ref().map(|admin| admin.store().clone());
        let administration = self.admin.take().and_then(|admin| {
            let built = admin.admin().cloned();
            built.zip(Some(admin.into_listener()))
        });
        let sources = self.sources;
        let _upkeep =
            AbortOnDropHandle::new(tokio::spawn(prometheus::upkeep(self.prometheus.clone())));
        let certificate = self.tls.as_ref().map(|tls| tls.tls().clone());
        let _expiry =
            certificate.map(|tls| AbortOnDropHandle::new(tokio::spawn(tls::warn_of_expiry(tls))));
        let alerts = self.alerts.take().map(|alerts| {
            alerts.start(Watched {
                fence: self.fence.clone(),
                sources: sources.clone(),
                models: models.clone(),
                certificate: self.tls.as_ref().map(|tls| tls.tls().clone()),
                admin: store.clone(),
            })
        });
        let prometheus = prometheus::router(Scrape {
            handle: self.prometheus,
            fence: self.fence.clone(),
            sources: sources.clone(),
            models: models.clone(),
            compatibility: self.config.metrics.compatibility.clone(),
            exemplars: self.telemetry.as_ref().map(Telemetry::exemplars),
        });
        let metrics = self.metrics.map(|metrics| {
            let listener = metrics.listener(prometheus.clone(), self.connections);
            // Until the end of the shutdown, which it shows.
            let (_, never) = watch::channel(ShutdownSignal::None);
            let served = listener.serve(CancellationToken::new(), never);
            AbortOnDropHandle::new(tokio::spawn(served))
        });
        let router = api::router(models.clone(), self.fence.clone(), sources, self.api);
        let router = router.merge(prometheus);
        let router = match self.docs.allowed {
            true => router.merge(api::openapi::router()),
            false => router,
        };
        let router = match &store {
            Some(store) => router.merge(admin::usage::router(store.clone())),
            None => router,
        };
        let abort = self.layers.deadlines.abort.clone();
        let router = fence::wrap(router, &self.fence, self.layers);
        let telemetry = self.telemetry.map(|telemetry| telemetry.start(models));
        let router = match &telemetry {
            Some(telemetry) => telemetry.wrap(router),
            None => router,
        };
        let tls = self.tls.as_ref().map(WatchedTls::tls);
        let administration = administration.map(|(admin, listener)| {
            let listener = listener::Listener {
                listener,
                tls: tls.cloned(),
                router: admin::router(&admin, router.clone(), self.proxies),
                limits: ConnectionLimits {
                    max_connections: ADMIN_CONNECTIONS,
                    ..self.connections
                },
                workers: self.admin_workers,
                // Few users, often of one address.
                addresses: None,
                pressure: Pressure::default(),
                open: metrics::gauge!("stockade_admin_connections"),
            };
            AbortOnDropHandle::new(tokio::spawn(
                listener.serve(abort.clone(), shutdown.clone()),
            ))
        });
        let server = listener::Listener {
            listener: self.listener,
            tls: tls.cloned(),
            router,
            limits: self.connections,
            workers: self.workers,
            addresses: Some(self.addresses),
            pressure: Pressure::default(),
            open: metrics::gauge!("stockade_connections"),
        };
        let ended = server.serve(abort, shutdown).await;
        drop((administration, metrics));
        if let Some(store) = store
            && let Err(error) = store.flush().await
        {
            tracing::error!(%error, "what was used last is not in the budgets");
        }
        let audit = self.fence.audit().clone();
        // A thread of its own writes the records; waiting for it blocks.
        let flushed = tokio::task::spawn_blocking(move || audit.flush(AUDIT_FLUSH_TIMEOUT)).await;
        if !matches!(flushed, Ok(Ok(()))) {
            tracing::error!("the last records could not be written in time");
        }
        if let Some(alerts) = alerts {
            alerts.stop().await;
        }
        if let Some(telemetry) = telemetry {
            telemetry.shutdown().await;
        }
        ended
    }

    /// Builds the administration, unless it has been built.
    pub(crate) fn administer(&mut self, models: &Models) {
        if let Some(admin) = &mut self.admin
            && admin.admin().is_none()
        {
            admin.build(AdminParts {
                fence: &self.fence,
                models: models.clone(),
                config: &self.config,
                reload: self.reload.clone(),
            });
        }
    }

    /// Where the administration is, once it has been built; `None` without one.
    ///
    /// # Errors
    /// Returns an error if its database fails.
    pub(crate) async fn admin_links(&self) -> Result<Option<AdminLinks>, StartError> {
        match &self.admin {
            Some(admin) => admin.links(self.tls.is_some()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Lets the administration reload the configuration.
    pub(crate) fn set_reload(&mut self, reload: ReloadHandle) {
        self.reload = Some(reload);
    }

    /// The certificate, if TLS is configured.
    pub(crate) fn tls(&self) -> Option<&WatchedTls> {
        self.tls.as_ref()
    }

    /// Adds a source to the metrics and to the readiness check.
    pub(crate) fn add_source(&mut self, source: stockade_watch::SourceHealth) {
        self.sources.add(source);
    }

    /// The fence: authentication, authorization and limits.
    pub fn fence(&self) -> &Fence {
        &self.fence
    }
}

/// The maximum number of concurrent connections to the administration; further ones wait.
const ADMIN_CONNECTIONS: usize = 64;

/// How long the shutdown waits for the last audit records to be written.
const AUDIT_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

fn no_threads(error: std::io::Error) -> StartError {
    StartError::new(format!("cannot start threads: {error}"))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// The fence's configuration, limited by the server's own settings.
///
/// The fence reads bodies before the handlers do, so the shorter body timeout applies. It also
/// reserves tokens before a handler runs, so it must know the default number of tokens.
fn apply_server_limits(config: &Config) -> stockade::Config {
    let mut fence = config.fence.clone();
    let body = &mut fence.body;
    body.read_timeout_secs = body.read_timeout_secs.min(config.server.body_timeout_secs);
    let default = &mut fence.token_budget.default_max_tokens;
    // For requests that name no model of this server.
    let largest = config.models.iter().map(|model| model.default_max_tokens);
    if default.is_none() {
        *default = largest.max();
    }
    fence
}

/// The tokens that the fence reserves for the completion of a request without `max_tokens`, by the
/// names of models; empty if the configuration sets one number for all.
fn default_max_tokens(config: &Config) -> HashMap<String, u32> {
    if config.fence.token_budget.default_max_tokens.is_some() {
        return HashMap::new();
    }
    let models = config.models.iter().flat_map(|model| {
        let names = model.aliases.iter().cloned().chain([model.api_name()]);
        names.map(|name| (name, model.default_max_tokens.get()))
    });
    models.collect()
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
