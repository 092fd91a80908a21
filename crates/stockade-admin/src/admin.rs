//! The administration: a router, and the store that it needs.

use std::{fmt, sync::Arc};

use axum::Router;
use stockade_audit::AuditLog;

use crate::{
    AdminConfig, AdminError, api,
    database::Database,
    state::{AdminState, Parts},
    time::Clock,
};

/// The database of an administration. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AdminStore {
    database: Database,
}

impl AdminStore {
    /// Opens the database, and creates or migrates its tables.
    ///
    /// # Errors
    /// When the database cannot be opened, or belongs to a newer release. Errors do not contain
    /// the URL, which may contain a password.
    pub async fn open(config: AdminConfig) -> Result<Self, AdminError> {
        let database = Database::open(config.database.expose()).await?;
        Ok(Self { database })
    }
}

/// The administration of a program.
#[derive(Clone)]
pub struct Admin(AdminState);

/// Builds an [`Admin`]; created by [`Admin::builder`].
pub struct AdminBuilder {
    store: AdminStore,
    audit: AuditLog,
    clock: Clock,
}

impl Admin {
    /// Starts an administration; all changes are recorded in this log.
    pub fn builder(store: AdminStore, audit: AuditLog) -> AdminBuilder {
        AdminBuilder {
            store,
            audit,
            clock: Clock::default(),
        }
    }

    /// The API under `/admin/v1`.
    pub fn router(&self) -> Router {
        Router::new().nest_service("/admin/v1", api::router(self.0.clone()))
    }
}

impl AdminBuilder {
    /// Builds the administration.
    pub fn build(self) -> Admin {
        Admin(AdminState(Arc::new(Parts {
            database: self.store.database,
            clock: self.clock,
            audit: self.audit,
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
