//! What tower-http's traces become where people collect logs: JSON lines in a file.

use std::fmt;

use tempfile::TempDir;
use tracing_appender::non_blocking::{ErrorCounter, WorkerGuard};
use tracing_subscriber::{
    Registry, filter::LevelFilter, fmt::layer, layer::SubscriberExt, reload,
    util::SubscriberInitExt,
};

/// A subscriber of the whole process, which is told when to write.
///
/// While it does not, a trace costs as little as without a subscriber, so other stacks can
/// be measured in turns with one that is traced.
pub struct JsonLogs {
    level: reload::Handle<LevelFilter, Registry>,
    lines: ErrorCounter,
    _writer: WorkerGuard,
    _folder: TempDir,
}

impl JsonLogs {
    /// Becomes the subscriber; once a process.
    pub fn install() -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = tracing_appender::rolling::never(folder.path(), "traces.log");
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
            _folder: folder,
        }
    }

    /// Writes what tower-http traces by default, which is `DEBUG`; or nothing.
    pub fn write(&self, on: bool) {
        let level = match on {
            true => LevelFilter::DEBUG,
            false => LevelFilter::OFF,
        };
        self.level
            .reload(level)
            .expect("the subscriber is there as long as the process");
    }

    /// Lines that found no room. Where there are any, not all work was measured.
    pub fn lost_lines(&self) -> usize {
        self.lines.dropped_lines()
    }
}

impl fmt::Debug for JsonLogs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLogs").finish_non_exhaustive()
    }
}
