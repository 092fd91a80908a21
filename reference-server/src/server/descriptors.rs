//! Limits the number of connections to the available file descriptors.
//!
//! A process that has run out of descriptors can neither accept connections nor read its key
//! file, so a revoked key would stay valid. A few descriptors are therefore reserved.

/// Descriptors reserved for the listener, logs, watched files, stores, the runtime, and the
/// files that a reload opens.
const RESERVED: u64 = 64;

/// The maximum number of connections: the configured one, lowered if descriptors are scarce.
pub(super) fn connection_limit(configured: u32) -> usize {
    let wanted = u64::from(configured).saturating_add(RESERVED);
    let limit = raise_limit(wanted);
    let connections = fit(configured, limit);
    metrics::gauge!("stockade_connections_limit").set(f64::from(connections));
    if connections < configured {
        tracing::warn!(
            max_connections = configured,
            lowered_to = connections,
            descriptors = limit,
            "the limit of open files is too low for server.max_connections, which was lowered: \
             raise the limit to {wanted} (`ulimit -n {wanted}`, or `LimitNOFILE={wanted}` for \
             systemd)"
        );
    }
    connections as usize
}

/// Raises the soft limit of open files as far as the hard limit permits, and returns it; `None`
/// if it cannot be read.
fn raise_limit(wanted: u64) -> Option<u64> {
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) => Some(limit),
        Err(error) => {
            tracing::warn!(%error, "cannot read or raise the limit of open files");
            None
        }
    }
}

/// The number of connections that a limit permits: at least half of its descriptors.
fn fit(configured: u32, limit: Option<u64>) -> u32 {
    let Some(limit) = limit else {
        return configured;
    };
    let reserved = RESERVED.min(limit / 2);
    let free = u32::try_from(limit - reserved).unwrap_or(u32::MAX);
    configured.min(free.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    // FA04
    #[test]
    fn reserves_descriptors() {
        for (configured, limit, expected) in [
            (1_024, None, 1_024),
            (1_024, Some(4_096), 1_024),
            (1_024, Some(1_088), 1_024),
            (1_024, Some(1_087), 1_023),
            (1_024, Some(1_024), 960),
            (1_024, Some(64), 32),
            (1_024, Some(0), 1),
            (8, Some(64), 8),
            (u32::MAX, Some(u64::MAX), u32::MAX),
        ] {
            assert_eq!(fit(configured, limit), expected, "{configured} {limit:?}");
        }
    }
}
