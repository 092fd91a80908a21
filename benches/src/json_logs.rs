//! The peers' access log: what `tracing` collects, as JSON lines in a file.

use std::{fmt, sync::LazyLock};

use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};
use tracing_subscriber::{
    Registry, filter::LevelFilter, fmt::layer, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

static LOGS: LazyLock<JsonLogs> = LazyLock::new(JsonLogs::install);

/// The subscriber of the process, which can be switched.
///
/// While it is off, a trace costs as little as without a subscriber, so that other stacks
/// can be measured in turns with a logged one.
pub struct JsonLogs {
    level: reload::Handle<LevelFilter, Registry>,
    lines: ErrorCounter,
    _writer: WorkerGuard,
}

impl JsonLogs {
    /// Installs the subscriber on first use; it starts switched off.
    pub fn of_process() -> &'static Self {
        &LOGS
    }

    fn install() -> Self {
        let file = tempfile::tempfile().expect("a file can be created");
        let (lines, writer) = tracing_appender::non_blocking(file);
        let counter = lines.error_counter();
        let (filter, level) = reload::Layer::new(LevelFilter::OFF);
        tracing_subscriber::registry()
            .with(filter)
            .with(layer().json().with_writer(lines))
            .init();
        Self {
            level,
            lines: counter,
            _writer: writer,
        }
    }

    /// Switches the log on or off.
    pub fn write(&self, on: bool) {
        let level = if on {
            LevelFilter::INFO
        } else {
            LevelFilter::OFF
        };
        self.level
            .reload(level)
            .expect("the subscriber lives as long as the process");
    }

    /// Lines that were dropped.
    pub fn lost_lines(&self) -> u64 {
        self.lines.dropped_lines() as u64
    }
}

impl fmt::Debug for JsonLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLogs").finish_non_exhaustive()
    }
}
