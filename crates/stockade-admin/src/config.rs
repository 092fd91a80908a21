//! The settings of the administration.

pub(crate) mod compatibility;
mod oidc;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::Path,
};

use serde::Deserialize;
use stockade::SecretUrl;
use stockade_core::llm::TokenUsage;

pub use compatibility::{Compatibility, UnknownCompatibility};
pub use oidc::{OidcConfig, OidcUrl};

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
    /// How long records and usage by hour are kept; usage by day is kept for ever.
    pub keep_records_days: NonZeroU32,
    /// Lets the administration revoke access tokens by their `jti`; tokens without one are refused
    /// then, because they cannot be revoked.
    pub revoke_tokens: bool,
    /// The prices of models by name, for the cost of usage.
    pub prices: BTreeMap<String, PriceConfig>,
    /// Logins at an OpenID Connect provider.
    pub oidc: Option<OidcConfig>,
    /// The older systems whose routes are served; none by default.
    #[serde(deserialize_with = "compatibility::list")]
    pub compatibility: Vec<Compatibility>,
}

/// The price of a model.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceConfig {
    /// The price of a million prompt tokens.
    pub prompt_per_million: f64,
    /// The price of a million completion tokens.
    pub completion_per_million: f64,
}

impl PriceConfig {
    /// The cost of tokens in millionths of the currency: a price of a million tokens is that of one
    /// token in millionths.
    pub(crate) fn millionths(&self, usage: TokenUsage) -> f64 {
        tokens(usage.prompt_tokens) * self.prompt_per_million
            + tokens(usage.completion_tokens) * self.completion_per_million
    }
}

#[expect(clippy::cast_precision_loss, reason = "exact up to 2^53 tokens")]
fn tokens(count: u64) -> f64 {
    count as f64
}

impl Default for AdminConfig {
    fn default() -> Self {
        const MINUTES: NonZeroU32 = NonZeroU32::new(30).expect("it is not zero");
        const HOURS: NonZeroU32 = NonZeroU32::new(12).expect("it is not zero");
        const DAYS: NonZeroU32 = NonZeroU32::new(30).expect("it is not zero");

        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8001)),
            database: SecretUrl::from("sqlite:admin.db"),
            hosts: Vec::new(),
            session_idle_minutes: MINUTES,
            session_max_hours: HOURS,
            keep_records_days: DAYS,
            revoke_tokens: false,
            prices: BTreeMap::new(),
            oidc: None,
            compatibility: Vec::new(),
        }
    }
}

impl AdminConfig {
    /// Resolves the paths of a SQLite file and of the secret against this folder.
    pub fn resolve_paths(&mut self, folder: &Path) {
        const SQLITE: &str = "sqlite:";

        if let Some(path) = self.database.expose().strip_prefix(SQLITE) {
            let path = folder.join(path.trim_start_matches("//"));
            self.database = SecretUrl::from(&*format!("{SQLITE}{}", path.display()));
        }
        if let Some(oidc) = &mut self.oidc {
            oidc.resolve_paths(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_tokens_by_their_kind() {
        let price = PriceConfig {
            prompt_per_million: 0.5,
            completion_per_million: 2.0,
        };
        for (prompt_tokens, completion_tokens, millionths) in
            [(1_000_000, 500_000, 1_500_000.0), (1, 0, 0.5), (0, 0, 0.0)]
        {
            let usage = TokenUsage {
                prompt_tokens,
                completion_tokens,
            };
            assert_eq!(price.millionths(usage), millionths);
        }
    }
}
