//! Whether few connections are left. Idle ones are closed earlier then.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Set by the listener, and read by connections. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Pressure(Arc<AtomicBool>);

impl Pressure {
    /// High from three quarters of the maximum until no more than half of it is open.
    pub(super) fn update(&self, open: usize, maximum: usize) {
        let before = self.is_high();
        let now = match before {
            true => open * 2 > maximum,
            false => open * 4 >= maximum * 3,
        };
        if now == before {
            return;
        }
        self.0.store(now, Ordering::Relaxed);
        match now {
            true => tracing::warn!(
                open,
                maximum,
                "few connections are left: idle ones are closed after a quarter of \
                 server.header_timeout_secs"
            ),
            false => tracing::info!(open, maximum, "enough connections are left again"),
        }
    }

    pub(super) fn is_high(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // FA11
    #[test]
    fn begins_late_and_ends_early() {
        let pressure = Pressure::default();
        for (open, expected) in [(5, false), (6, true), (5, true), (4, false), (5, false)] {
            pressure.update(open, 8);
            assert_eq!(pressure.is_high(), expected, "{open}");
        }
    }
}
