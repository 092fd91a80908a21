//! A sink for `tracing` subscribers.

use std::io;

use tracing::info;

use crate::{Batch, Sink};

/// Emits each record as a `tracing` event whose message is the JSON text, with the target
/// `stockade::audit`; for example for `tracing-journald` and collectors.
///
/// Its throughput is that of the subscriber. A chain can be verified only if the subscriber
/// stores the text unchanged.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingSink;

impl Sink for TracingSink {
    fn write(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        for line in batch.lines() {
            info!(target: "stockade::audit", "{line}");
        }
        Ok(())
    }
}
