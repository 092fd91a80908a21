//! Logs the findings about a configuration when it takes effect.

use crate::Config;

/// Logs the warnings of a configuration and the legacy variables in effect.
pub(super) fn log_warnings(config: &Config) {
    for (name, setting) in config.legacy_names() {
        tracing::info!(
            variable = name,
            setting,
            "an unprefixed environment variable is in effect"
        );
    }
    let warnings = config.warnings();
    for warning in warnings {
        tracing::warn!(
            origin = %warning.origin(),
            remedy = warning.remedy().text,
            "configuration: {}: {}",
            warning.origin(),
            warning.text()
        );
    }
}
