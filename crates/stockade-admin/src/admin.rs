//! The administration: a router, and the store that it needs.

use std::{fmt, sync::Arc, time::Duration};

use axum::Router;
use stockade_abuse::Detector;
use stockade_audit::{AuditLog, Journal, Overflow};
use stockade_key_auth::KeyStore;

use crate::{
    AdminConfig, AdminError, BudgetGuard, BudgetUse, Compatibility, ConfigControl, ModelControl,
    RevokedTokens, api,
    auth::{
        self, Auth,
        oidc::{self, Oidc},
    },
    budget::Budgets,
    compat::{self, inferno::AccessTokens},
    config::compatibility,
    database::Database,
    keys::KeyDirectory,
    records::{Live, RecordSink},
    revocation,
    state::{AdminState, Parts},
    time::Clock,
    web,
};

/// How long records are collected for one transaction.
const JOURNAL_LINGER: Duration = Duration::from_millis(100);

/// The database of an administration, opened before the fence so that its audit log can have a
/// copy here. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminStore {
    config: AdminConfig,
    database: Database,
    budgets: Budgets,
    live: Arc<Live>,
    revocations: Option<RevokedTokens>,
    oidc: Option<Oidc>,
    access_tokens: Option<AccessTokens>,
}

impl AdminStore {
    /// Opens the database, and creates or migrates its tables.
    ///
    /// # Errors
    /// When the database cannot be opened, or belongs to a newer release. Errors do not contain
    /// the URL, which may contain a password. When the secret of `admin.oidc` cannot be read; the
    /// identity provider is not contacted before the first login. When
    /// [`AdminConfig::compatibility`] has a system without effect.
    pub async fn open(config: AdminConfig) -> Result<Self, AdminError> {
        compatibility::check(&config.compatibility)
            .map_err(|text| AdminError::new(format!("admin.compatibility: {text}")))?;
        let oidc = config.oidc.clone().map(Oidc::new).transpose()?;
        let database = Database::open(config.database.expose()).await?;
        let budgets = Budgets::start(database.clone(), config.prices.clone()).await;
        let budgets = budgets.map_err(|error| {
            AdminError::new("cannot read the budgets of the administration").with_source(error)
        })?;
        let revocations = match config.revoke_tokens {
            true => Some(RevokedTokens::start(database.clone()).await),
            false => None,
        };
        let revocations = revocations
            .transpose()
            .map_err(|error| AdminError::new(revocation::UNREADABLE).with_source(error))?;
        let access_tokens = match config.compatibility.contains(&Compatibility::Inferno) {
            true => Some(AccessTokens::open(&database).await?),
            false => None,
        };
        Ok(Self {
            config,
            database,
            budgets,
            live: Arc::default(),
            revocations,
            oidc,
            access_tokens,
        })
    }

    /// The revoked tokens, for
    /// [`FenceBuilder::revocations`](stockade::FenceBuilder::revocations); `None` unless
    /// [`AdminConfig::revoke_tokens`] is set.
    pub fn revocations(&self) -> Option<RevokedTokens> {
        self.revocations.clone()
    }

    /// What is used of each budget in its present window.
    pub fn budget_use(&self) -> Vec<BudgetUse> {
        self.budgets.list().into_iter().map(BudgetUse::of).collect()
    }

    /// Whether budgets cannot be written to and read from the database at present.
    pub fn has_failing_budgets(&self) -> bool {
        self.budgets.is_failing()
    }

    /// The budgets.
    pub(crate) fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Writes what was used of the budgets, which happens every second otherwise. Call it before the
    /// process ends.
    ///
    /// # Errors
    /// When the database is unavailable.
    pub async fn flush(&self) -> Result<(), AdminError> {
        self.budgets.exchange().await.map_err(|error| {
            AdminError::new("cannot write the budgets of the administration").with_source(error)
        })
    }

    /// A guard that enforces the budgets, for
    /// [`FenceBuilder::after_body`](stockade::FenceBuilder::after_body).
    pub fn budget_guard(&self) -> BudgetGuard {
        BudgetGuard::new(self.budgets.clone())
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    /// Starts a journal that writes records, usage and live figures; for
    /// [`FenceBuilder::copy_records`](stockade::FenceBuilder::copy_records).
    ///
    /// While the database is down, up to 8 MiB of records are kept; further ones are dropped and
    /// counted. Each process needs one journal.
    ///
    /// # Errors
    /// When the thread of the journal cannot be started.
    pub fn journal(&self) -> Result<Journal, AdminError> {
        let sink = RecordSink::new(&self.config, Arc::clone(&self.live))?;
        let journal = Journal::builder(sink, Overflow::DropAndCount).linger(JOURNAL_LINGER);
        journal.start().map_err(|error| {
            AdminError::new("cannot start the journal of the administration").with_source(error)
        })
    }
}

/// The administration of a program.
#[derive(Clone)]
pub struct Admin(AdminState);

/// Builds an [`Admin`]; created by [`Admin::builder`].
pub struct AdminBuilder {
    store: AdminStore,
    audit: AuditLog,
    keys: Option<Arc<dyn KeyStore>>,
    detector: Option<Detector>,
    models: Option<Arc<dyn ModelControl>>,
    settings: Option<Arc<dyn ConfigControl>>,
    gateway_url: Option<String>,
    clock: Clock,
}

impl Admin {
    /// Starts an administration; all changes are recorded in this log.
    pub fn builder(store: AdminStore, audit: AuditLog) -> AdminBuilder {
        AdminBuilder {
            store,
            audit,
            keys: None,
            detector: None,
            models: None,
            settings: None,
            gateway_url: None,
            clock: Clock::default(),
        }
    }

    /// The API under `/admin/v1`, the page under `/admin/`, and the routes of
    /// [`AdminConfig::compatibility`].
    ///
    /// Logins are throttled by the address of the client: that of a
    /// [`ContextLayer`](stockade_core::context::ContextLayer) around this router, or else that
    /// of axum's `ConnectInfo<SocketAddr>`.
    pub fn router(&self) -> Router {
        let api = auth::authenticated(api::router(self.0.clone()), &self.0);
        let page = web::router(self.0.0.gateway_url.as_deref());
        // As services, so that unknown paths of the API do not match those of the page.
        let mut router = page.nest_service("/admin/v1", api);
        if self.0.0.oidc.is_some() {
            let oidc = auth::authenticated(oidc::router(self.0.clone()), &self.0);
            router = router.nest_service("/admin/oidc", oidc);
        }
        auth::protected(compat::mount(router, &self.0), &self.0)
    }

    #[cfg(test)]
    pub(crate) fn state(&self) -> &AdminState {
        &self.0
    }

    /// Creates the token for the creation of the first user, which replaces the previous one and
    /// is valid for 24 hours. `None` if there is a user.
    ///
    /// # Errors
    /// When the database is unavailable.
    pub async fn setup_token(&self) -> Result<Option<String>, AdminError> {
        auth::setup::create_token(&self.0).await
    }
}

impl AdminBuilder {
    /// The keys to administer.
    #[must_use]
    pub fn keys(mut self, keys: Arc<dyn KeyStore>) -> Self {
        self.keys = Some(keys);
        self
    }

    /// The bans to administer.
    #[must_use]
    pub fn detector(mut self, detector: Detector) -> Self {
        self.detector = Some(detector);
        self
    }

    /// The models to show and control.
    #[must_use]
    pub fn models(mut self, models: impl ModelControl) -> Self {
        self.models = Some(Arc::new(models));
        self
    }

    /// The configuration to show and reload.
    #[must_use]
    pub fn settings(mut self, settings: impl ConfigControl) -> Self {
        self.settings = Some(Arc::new(settings));
        self
    }

    /// The URL under which clients call the guarded API, without `/v1`, such as
    /// `http://127.0.0.1:8000`. The playground of the page sends its requests there; by default,
    /// to the origin of the page. Another origin must allow that of the page with
    /// `cors.allow_origins`.
    #[must_use]
    pub fn gateway_url(mut self, url: impl Into<String>) -> Self {
        self.gateway_url = Some(url.into());
        self
    }

    #[cfg(test)]
    pub(crate) fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the administration.
    pub fn build(self) -> Admin {
        Admin(AdminState(Arc::new(Parts {
            config: self.store.config,
            database: self.store.database,
            clock: self.clock,
            auth: Auth::default(),
            oidc: self.store.oidc,
            access_tokens: self.store.access_tokens,
            live: self.store.live,
            audit: self.audit,
            budgets: self.store.budgets,
            revocations: self.store.revocations,
            keys: self.keys.map(KeyDirectory::new),
            detector: self.detector,
            models: self.models,
            settings: self.settings,
            gateway_url: self.gateway_url,
        })))
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

impl fmt::Debug for AdminBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminBuilder").finish_non_exhaustive()
    }
}
