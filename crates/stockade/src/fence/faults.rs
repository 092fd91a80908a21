//! What keeps a configuration from being a fence, before anything is opened or written.

use std::collections::HashSet;

use super::{
    builder,
    cors::Cors,
    keys, limits,
    probes::{ProbeLimit, ProbePaths},
    record, store,
};
use crate::{Config, ConfigError};

/// All that [`Fence::from_config`](super::Fence::from_config) refuses about the configuration
/// itself, and about the files of secrets that it names. The fence is built only where there is
/// none of it, and `check` reports all of it.
pub(crate) fn faults(config: &Config) -> Vec<ConfigError> {
    let cors = (!config.cors.allow_origins.is_empty()).then(|| Cors::new(&config.cors));
    let faults = [
        keys::place(&config.auth).err(),
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
    let located = |fault: ConfigError| fault.locate(config.origins());
    let mut seen = HashSet::new();
    let mut faults: Vec<_> = faults.into_iter().flatten().map(located).collect();
    // One setting can be in the way of several guards.
    faults.retain(|fault| seen.insert(fault.summary()));
    faults
}

/// Where there are no routes, the program has a table of its own, which may have any probe.
fn routes(config: &Config) -> Result<(), ConfigError> {
    let scopes = builder::scopes(config)?;
    match config.routes.is_empty() {
        true => Ok(()),
        false => ProbePaths::new(&config.probes, &scopes).map(drop),
    }
}
