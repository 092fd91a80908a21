//! The settings of the administration.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
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
    /// The hosts under which browsers may open the administration, such as `admin.example.com`;
    /// `localhost` and loopback addresses are always allowed. Others are refused, which protects
    /// from DNS rebinding.
    pub hosts: Vec<String>,
    /// A session ends after this time without a request.
    pub session_idle_minutes: NonZeroU32,
    /// A session ends after this time in any case.
    pub session_max_hours: NonZeroU32,
}

impl Default for AdminConfig {
    fn default() -> Self {
        const MINUTES: NonZeroU32 = NonZeroU32::new(30).expect("it is not zero");
        const HOURS: NonZeroU32 = NonZeroU32::new(12).expect("it is not zero");

        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8001)),
            database: SecretUrl::from("sqlite:admin.db"),
            hosts: Vec::new(),
            session_idle_minutes: MINUTES,
            session_max_hours: HOURS,
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
