//! The administration: a listener of its own for `stockade-admin`.
//!
//! The listener serves the API of the server, too, behind the same fence: the playground of the
//! page calls it as any other client does, without requests to another origin.

use std::net::SocketAddr;

use axum::{Router, middleware};
use stockade::Fence;
use stockade_admin::{
    Admin, AdminConfig, AdminError, AdminStore, BudgetGuard, Compatibility, RevokedTokens,
};
use stockade_audit::Journal;
use stockade_core::{client::TrustedProxies, context::ContextLayer};
use tokio::net::TcpListener;

use crate::{Config, StartError, models::Models, reload::ReloadHandle, systemd::Sockets};

mod metrics;
mod models;
mod settings;
pub(crate) mod usage;

use models::ServedModels;
use settings::ServedSettings;

/// An administration that is bound to its address.
pub(crate) struct AdminServer {
    listener: TcpListener,
    address: SocketAddr,
    store: AdminStore,
    compatibility: Vec<Compatibility>,
    /// Set by [`build`](Self::build).
    admin: Option<Admin>,
}

impl AdminServer {
    /// Listens on the address, and opens the database.
    ///
    /// # Errors
    /// Returns an error if one of these fails.
    pub(crate) async fn bind(
        config: &AdminConfig,
        sockets: &mut Sockets,
    ) -> Result<Self, StartError> {
        let (listener, address) = sockets.bind(config.listen, "admin.listen").await?;
        let store = AdminStore::open(config.clone()).await;
        Ok(Self {
            listener,
            address,
            store: store.map_err(|error| database_error(&error))?,
            compatibility: config.compatibility.clone(),
            admin: None,
        })
    }

    /// What the fence needs of it.
    ///
    /// # Errors
    /// Returns an error if the thread that writes records cannot be started.
    pub(crate) fn fence_parts(&self) -> Result<AdminFenceParts, StartError> {
        let records = self.store.journal();
        Ok(AdminFenceParts {
            records: records.map_err(|error| database_error(&error))?,
            budgets: self.store.budget_guard(),
            revocations: self.store.revocations(),
        })
    }

    /// Builds the administration.
    pub(crate) fn build(&mut self, parts: AdminParts<'_>) -> &Admin {
        let fence = parts.fence;
        let mut admin = Admin::builder(self.store.clone(), fence.audit().clone())
            .keys(fence.key_store().clone())
            .models(ServedModels(parts.models))
            .settings(ServedSettings::new(parts.config, parts.reload));
        if let Some(detector) = fence.detector() {
            admin = admin.detector(detector.clone());
        }
        self.admin.insert(admin.build())
    }

    /// The database.
    pub(crate) fn store(&self) -> &AdminStore {
        &self.store
    }

    /// The administration, where it has been built.
    pub(crate) fn admin(&self) -> Option<&Admin> {
        self.admin.as_ref()
    }

    /// The address of the page, and the link that creates the first user, if there is none yet.
    ///
    /// # Errors
    /// Returns an error if the database fails.
    pub(crate) async fn links(&self, is_tls: bool) -> Result<AdminLinks, StartError> {
        let scheme = if is_tls { "https" } else { "http" };
        let page = format!("{scheme}://{}/admin/", self.address);
        let token = match &self.admin {
            Some(admin) => admin.setup_token().await,
            None => Ok(None),
        };
        let token = token.map_err(|error| database_error(&error))?;
        let names = self.compatibility.iter().map(|system| system.name());
        Ok(AdminLinks {
            compatibility: names.collect(),
            setup: token.map(|token| format!("{page}#setup={token}")),
            page,
        })
    }

    /// The listener.
    pub(crate) fn into_listener(self) -> TcpListener {
        self.listener
    }
}

/// What the fence of a server needs of its administration.
pub(crate) struct AdminFenceParts {
    /// Receives a copy of the records.
    pub(crate) records: Journal,
    pub(crate) budgets: BudgetGuard,
    /// `None` unless tokens can be revoked.
    pub(crate) revocations: Option<RevokedTokens>,
}

fn database_error(error: &AdminError) -> StartError {
    StartError::context("admin.database", error)
}

/// Where the administration is.
#[derive(Clone, Debug)]
pub(crate) struct AdminLinks {
    pub(crate) page: String,
    /// The older systems whose routes are served.
    pub(crate) compatibility: Vec<&'static str>,
    /// A secret: it creates the first user, once, within 24 hours.
    pub(crate) setup: Option<String>,
}

/// What an administration shows and changes.
pub(crate) struct AdminParts<'p> {
    pub(crate) fence: &'p Fence,
    pub(crate) models: Models,
    pub(crate) config: &'p Config,
    /// `None` if the configuration is not from a file.
    pub(crate) reload: Option<ReloadHandle>,
}

/// The router of the listener: the administration, and the API behind its fence.
pub(crate) fn router(admin: &Admin, gateway: Router, proxies: TrustedProxies) -> Router {
    let context = ContextLayer::new().trusted_proxies(proxies);
    let router = admin.router().layer(context);
    let router = router.fallback_service(gateway.clone());
    // Around a router without routes, because a match of the inner one would change the path that
    // the fence of the gateway sees.
    let prometheus = middleware::from_fn_with_state(gateway, metrics::prometheus);
    Router::new().fallback_service(router).layer(prometheus)
}
