//! What should be known about a configuration, said when it comes into force.

use crate::Config;

/// Logs the warnings of this configuration, and the unprefixed variables in force.
pub(super) fn settings(config: &Config) {
    for (name, setting) in config.legacy_names() {
        tracing::info!(
            variable = name,
            setting,
            "an unprefixed environment variable is in force"
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
