//! How many connections the process has descriptors for.
//!
//! A process that runs out of descriptors accepts nothing, and cannot read its key file
//! either: a revoked key would stay valid. So connections never get the last ones.

/// Descriptors that connections do not get: the listener, logs, watched files, stores, the
/// runtime, and what a reload opens.
const RESERVED: u64 = 64;

/// The most connections at a time: as many as are configured, where descriptors suffice.
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
            "the limit of open files is too low for server.max_connections, which is lowered: \
             raise it to {wanted} (`ulimit -n {wanted}`, or `LimitNOFILE={wanted}` for systemd)"
        );
    }
    connections as usize
}

/// The limit of the process, raised as far as it may raise it itself; `None` where it cannot be
/// told.
fn raise_limit(wanted: u64) -> Option<u64> {
    match rlimit::increase_nofile_limit(wanted) {
        Ok(limit) => Some(limit),
        Err(error) => {
            tracing::warn!(%error, "the limit of open files can be neither read nor raised");
            None
        }
    }
}

/// Where there are very few descriptors, connections get half of them.
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
    fn connections_leave_descriptors_for_the_rest() {
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
