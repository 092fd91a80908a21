//! Builds a fence from a configuration.

use std::{fmt, io, sync::Arc};

use http::Extensions;
use stockade_abuse::{AbuseGuard, PrincipalGuard};
use stockade_audit::{AuditLog, Journal, Recorder};
use stockade_body::BodyRules;
use stockade_core::{
    client::PeerAddr,
    context::ContextGuard,
    guard::{BoxGuard, Guard, GuardList, GuardStack as _},
    identity::Authenticator,
    llm::ModelRequest,
    refusal::{Responder, is_grpc_route},
};
use stockade_key_auth::KeyAuth;
use stockade_rate_limit::{SharedLimits, TokenBudget};
use stockade_scope::ScopeGuard;

use super::{
    Fence, FenceEvent, FenceLayer, Identity, Inner, RequestMetrics,
    cors::Cors,
    event::Listeners,
    guards, key_changes,
    keys::Keys,
    layer, limits, log_warnings, metric_descriptions,
    probes::{ProbeLimit, ProbePaths},
    record,
    route_adapter::{RouteAdapter, ServerAdapter},
    sources::Sources,
    store::Stores,
    streams::{Access, Streams},
    summary,
    tokens::{self, Revocations},
    validate,
};
use crate::{Config, ConfigError, HeaderStyle};

/// Builds a [`Fence`]; created by [`Fence::builder`].
pub struct FenceBuilder<'c> {
    config: &'c Config,
    adapter: ServerAdapter,
    before_identity: GuardList,
    after_identity: GuardList,
    after_body: GuardList,
    scopes: Option<ScopeGuard>,
    bodies: Option<BodyRules>,
    records: Option<Box<BeginRecords>>,
    copies: Vec<Journal>,
    revocations: Option<Revocations>,
    max_tokens_by: Option<Box<MaxTokensBy>>,
    responder: Responder,
    metrics: bool,
    listeners: Listeners,
}

type MaxTokensBy = dyn Fn(&ModelRequest) -> Option<u32> + Send + Sync;

type BeginRecords = dyn FnOnce() -> io::Result<AuditLog> + Send;

impl<'c> FenceBuilder<'c> {
    pub(super) fn new(config: &'c Config) -> Self {
        Self {
            config,
            adapter: ServerAdapter::DEFAULT,
            before_identity: GuardList::new(),
            after_identity: GuardList::new(),
            after_body: GuardList::new(),
            scopes: None,
            bodies: None,
            records: None,
            copies: Vec::new(),
            revocations: None,
            max_tokens_by: None,
            responder: Responder::default(),
            metrics: false,
            listeners: Listeners::default(),
        }
    }

    /// Reads the peer's address with this function, for servers that set neither [`PeerAddr`]
    /// nor axum's `ConnectInfo<SocketAddr>` as a request extension; for example, from tonic's
    /// `TcpConnectInfo`.
    pub fn peer(mut self, peer: fn(&Extensions) -> Option<PeerAddr>) -> Self {
        self.adapter.peer = peer;
        self
    }

    /// Sets the access rules, which replace the configuration's `[[routes]]`.
    pub fn scopes(mut self, scopes: ScopeGuard) -> Self {
        self.scopes = Some(scopes);
        self
    }

    /// Sets the body rules, which replace the configuration's `[[routes]]`. Start with
    /// [`BodyConfig::rules`](crate::BodyConfig::rules).
    pub fn bodies(mut self, rules: BodyRules) -> Self {
        self.bodies = Some(rules);
        self
    }

    /// Opens the audit log with this function, which replaces the configuration's `[audit]`. It
    /// is called after the keys were read, so that no log is opened if that fails.
    pub fn records<F>(mut self, begin: F) -> Self
    where
        F: FnOnce() -> io::Result<AuditLog> + Send + 'static,
    {
        self.records = Some(Box::new(begin));
        self
    }

    /// Adds a journal that receives a copy of every record, in addition to the configuration's
    /// `[audit]`.
    pub fn copy_records(mut self, journal: Journal) -> Self {
        self.copies.push(journal);
        self
    }

    /// Refuses the tokens that this store has revoked, in addition to those of
    /// `auth.tokens.revoked_file`. Tokens without a `jti` are refused then.
    #[cfg(feature = "jwt")]
    pub fn revocations(mut self, store: Arc<dyn stockade_jwt::RevocationStore>) -> Self {
        self.revocations = Some(store);
        self
    }

    /// Adds a guard before authentication, after bans, the limit by address and preflight
    /// requests. The guards of a slot run in the order in which they are added; probes skip
    /// them.
    ///
    /// Its refusals are recorded, counted in metrics and reported to the abuse detector, like
    /// those of every other guard.
    pub fn before_identity<G>(mut self, guard: G) -> Self
    where
        G: Guard<Pass: Send + 'static, Hook: 'static, Wait: 'static>,
    {
        self.before_identity.push(BoxGuard::new(guard));
        self
    }

    /// Adds a guard after authentication, the limit by key and scopes, before the body is read.
    /// The principal and the route are known.
    pub fn after_identity<G>(mut self, guard: G) -> Self
    where
        G: Guard<Pass: Send + 'static, Hook: 'static, Wait: 'static>,
    {
        self.after_identity.push(BoxGuard::new(guard));
        self
    }

    /// Adds a guard after the body check, before token budgets. The model request is known
    /// ([`RequestContext::model_request`](stockade_core::context::RequestContext::model_request)).
    pub fn after_body<G>(mut self, guard: G) -> Self
    where
        G: Guard<Pass: Send + 'static, Hook: 'static, Wait: 'static>,
    {
        self.after_body.push(BoxGuard::new(guard));
        self
    }

    /// Sets the tokens that are reserved for the completion of a request without `max_tokens`,
    /// by the request: models may have different defaults. Where the function returns `None`,
    /// `token_budget.default_max_tokens` of the configuration applies.
    pub fn max_tokens_by<F>(mut self, tokens: F) -> Self
    where
        F: Fn(&ModelRequest) -> Option<u32> + Send + Sync + 'static,
    {
        self.max_tokens_by = Some(Box::new(tokens));
        self
    }

    /// Sets the responder that writes refusals.
    ///
    /// If access rules come from `[[routes]]` and none of them is a gRPC method, refusals are
    /// never written as gRPC; see [`Responder::without_grpc`].
    pub fn responder(mut self, responder: Responder) -> Self {
        self.responder = responder;
        self
    }

    /// Counts requests with the `metrics` crate; see [`RequestMetrics`]. Install the recorder
    /// before [`build`](Self::build), which describes all metric families to it.
    pub fn metrics(mut self) -> Self {
        self.metrics = true;
        self
    }

    /// Adds a listener for events that are not requests.
    ///
    /// The listener is called synchronously where the event occurs, in a request or in the
    /// thread that watches a file, with locks held. It must not block, and must not read or
    /// change a key store.
    pub fn on_event(mut self, listener: impl Fn(&FenceEvent) + Send + Sync + 'static) -> Self {
        self.listeners.add(listener);
        self
    }

    /// Reads the files and builds the fence.
    ///
    /// # Errors
    /// Returns the errors of [`Fence::from_config`].
    pub async fn build(self) -> Result<Fence, ConfigError> {
        let config = self.config;
        // Before anything is opened or written.
        if let Some(error) = validate::validate(config).into_iter().next() {
            return Err(error);
        }
        let fence = self.open().await;
        let fence = fence.map_err(|error| error.locate(config.located_settings()))?;
        log_warnings::log_warnings(config);
        Ok(fence)
    }

    async fn open(mut self) -> Result<Fence, ConfigError> {
        let config = self.config;
        if self.metrics {
            metric_descriptions::describe();
        }
        let mut sources = Sources::default();
        let Keys {
            store: key_store,
            live: keys,
            first,
        } = Keys::open(&config.auth, &mut sources).await?;
        let pepper = config.auth.pepper()?;
        super::keys::warn_of_missing_settings(&keys, config);
        let audit = match self.records.take() {
            Some(begin) => begin().map_err(|error| record::setting_error("audit", &error))?,
            None => record::log(config.audit.as_ref())?,
        };
        let audit = self.copies.drain(..).fold(audit, AuditLog::copy);
        let log = audit.clone();
        self.listeners.add_first(move |event: &FenceEvent| {
            for event in record::security_events(event) {
                log.event(event);
            }
        });
        key_changes::follow(&keys, first, self.listeners.clone());
        let stores = Stores::open(config, &self.listeners)?;
        let detector = guards::detector(config, &stores, &self.listeners, &mut sources)?;
        let realm = &config.auth.realm;
        let tokens = config.auth.tokens.as_ref();
        let revocations = self.revocations.take();
        let tokens = tokens.map(|tokens| tokens::guard(tokens, realm, &mut sources, revocations));
        let followed = keys.clone();
        let key_auth = KeyAuth::with_keys(keys)
            .realm(realm)
            // The scope guard decides which routes are public.
            .dangerous_allow_anonymous();
        let key_auth = match pepper {
            Some(pepper) => key_auth.pepper(pepper),
            None => key_auth,
        };
        let identity: Identity = Arc::new(key_auth.or_maybe(tokens.transpose()?));
        let access = Access {
            identity: Arc::clone(&identity),
            detector: detector.clone(),
            ban_valid_keys: config.abuse.ban_valid_keys,
        };
        let streams = Streams::start(access, config.streams.cut)
            .map_err(|error| record::setting_error("streams", &error))?;
        let check_streams = streams.checks();
        followed.on_publish(move |_| check_streams());
        let routes = match &self.scopes {
            Some(_) => "set by the program".to_owned(),
            None => format!("{} routes", config.routes.len()),
        };
        let by_program = self.scopes.is_some();
        let scopes = match self.scopes {
            Some(scopes) => scopes,
            None => guards::scopes(config)?,
        };
        let probes = ProbePaths::new(&config.probes, &scopes)?;
        let shared = |limits: Option<_>| limits.map(SharedLimits::from);
        let by_ip = shared(limits::by_ip(config)?);
        let by_key = shared(limits::by_key(config)?);
        let token_budget = shared(limits::tokens(config)?);
        let concurrency = guards::concurrency(config, &stores.permits)?;
        let cors = match config.cors.allow_origins.is_empty() {
            true => None,
            false => Some(Cors::new(&config.cors)?),
        };
        // A route that begins with a parameter may also match gRPC methods.
        let is_grpc = |path: &str| is_grpc_route(path) || path.starts_with("/{");
        let grpc = by_program || config.routes.iter().any(|route| is_grpc(&route.path));
        let responder = match grpc {
            true => &self.responder,
            false => &self.responder.clone().without_grpc(),
        };
        let summary = summary::summary(config, &routes);
        let outer = detector.clone().map(|detector| {
            let passes = (!config.abuse.ban_valid_keys).then(|| Arc::clone(&identity));
            AbuseGuard::new(detector).allow_valid_credentials_opt(passes)
        });
        let inner = detector.clone().map(PrincipalGuard::new);
        let rate = |limits: &Option<SharedLimits>| {
            guards::rate_limit(config, limits.as_ref(), &stores.limits)
        };
        let budget = token_budget.clone().map(|limits| {
            let budget = TokenBudget::with_store(limits, stores.limits.clone());
            let budget = match config.token_budget.default_max_tokens {
                Some(tokens) => budget.max_tokens(tokens.get()),
                None => budget,
            };
            let budget = match self.max_tokens_by {
                Some(tokens) => budget.max_tokens_by(tokens),
                None => budget,
            };
            match config.rate_limit.headers.contains(&HeaderStyle::OpenAi) {
                true => budget.openai_headers(),
                false => budget,
            }
        });
        let bodies = self.bodies.unwrap_or_else(|| guards::bodies(config));
        let bodies = match record::prompt_key(config.audit.as_ref())? {
            Some(key) => bodies.digest_prompts(key),
            None => bodies,
        };
        let order = layer::GuardOrder {
            context: ContextGuard::new()
                .trusted_proxies(config.client_ip.proxies()?)
                .peer(self.adapter.peer),
            route: RouteAdapter::new(self.adapter, probes),
            metrics: self.metrics.then(RequestMetrics::default),
            audit: Recorder::new(audit.clone()).with_backpressure(),
            cors: cors.as_ref().map(Cors::guard),
            probe_limit: ProbeLimit::new(config)?,
            bans: outer.except_probes(),
            by_ip: rate(&by_ip).except_probes(),
            preflight: cors.as_ref().map(Cors::preflight).except_probes(),
            before_identity: self.before_identity.except_probes(),
            identity: identity.except_probes(),
            principal_bans: inner.except_probes(),
            by_key: rate(&by_key).except_probes(),
            scopes: scopes.except_probes(),
            after_identity: self.after_identity.except_probes(),
            concurrency: concurrency.clone().except_probes(),
            body: bodies.into_guard(),
            after_body: self.after_body.except_probes(),
            token_budget: budget.except_probes(),
        };
        let layer = FenceLayer::new(order, responder, streams.clone());
        Ok(Fence(Arc::new(Inner {
            summary,
            key_store,
            settings: config.located_settings().clone(),
            config_warnings: (config.warnings().len() as u64).into(),
            layer,
            detector,
            by_ip,
            by_key,
            token_budget,
            concurrency,
            cors,
            listeners: self.listeners,
            audit,
            stores,
            sources,
            streams,
        })))
    }
}

impl fmt::Debug for FenceBuilder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FenceBuilder")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
