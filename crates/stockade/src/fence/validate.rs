//! Validation of a configuration, before anything is opened for writing.

use std::collections::HashSet;

use super::{
    cors::Cors,
    guards, keys, limits,
    probes::{ProbeLimit, ProbePaths},
    record, store,
};
use crate::{Config, ConfigError};

/// Returns all errors of the configuration itself and of its secret files. A fence is built
/// only without errors; [`Fence::from_config`](super::Fence::from_config) returns the first
/// one, `check` reports all.
pub(crate) fn validate(config: &Config) -> Vec<ConfigError> {
    let cors = (!config.cors.allow_origins.is_empty()).then(|| Cors::new(&config.cors));
    let results = [
        keys::validate_source(&config.auth).err(),
        config.client_ip.ipv6_prefix().err(),
        config.client_ip.proxies().err(),
        routes(config).err(),
        ProbeLimit::new(config).err(),
        limits::by_ip(config).err(),
        limits::by_key(config).err(),
        limits::tokens(config).err(),
        config.abuse.policy(&config.client_ip).err(),
        config.check_token_files().err(),
        cors.and_then(Result::err),
        store::settings(config).err(),
        record::settings(config.audit.as_ref()).err(),
        record::prompt_key(config.audit.as_ref()).err(),
    ];
    let located = |error: ConfigError| error.locate(config.located_settings());
    let mut seen = HashSet::new();
    let mut errors: Vec<_> = results.into_iter().flatten().map(located).collect();
    // The same setting can be invalid for several guards.
    errors.retain(|error| seen.insert(error.summary()));
    errors
}

/// Validates routes and probes. Without `[[routes]]` the program has its own table, which may
/// contain any probe.
fn routes(config: &Config) -> Result<(), ConfigError> {
    let scopes = guards::scopes(config)?;
    match config.routes.is_empty() {
        true => Ok(()),
        false => ProbePaths::new(&config.probes, &scopes).map(drop),
    }
}
