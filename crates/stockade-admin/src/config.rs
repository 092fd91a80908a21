//! The settings of the administration.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use serde::Deserialize;
use stockade::SecretUrl;

/// `[admin]`: the administration.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct AdminConfig {
    /// The address of the administration, for programs that serve it on a listener of its own.
    pub listen: SocketAddr,
    /// `sqlite:PATH`, or `postgres://USER:PASSWORD@HOST/DATABASE` for several processes.
    pub database: SecretUrl,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8001)),
            database: SecretUrl::from("sqlite:admin.db"),
        }
    }
}

impl AdminConfig {
    /// Resolves the path of a SQLite file against this folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        const SQLITE: &str = "sqlite:";

        if let Some(path) = self.database.expose().strip_prefix(SQLITE) {
            let path = folder.join(path.trim_start_matches("//"));
            self.database = SecretUrl::from(&*format!("{SQLITE}{}", path.display()));
        }
    }
}
