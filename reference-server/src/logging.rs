//! Logging to standard error.

use std::{io, panic};

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{LogConfig, LogFormat, LogLevel};

/// Installs the global subscriber. Only the first call in a process has an effect.
pub(crate) fn init(config: &LogConfig) {
    let filter = EnvFilter::new(match config.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        // Dependencies log too much at this level.
        LogLevel::Info => "warn,stockade=info",
        LogLevel::Debug => "info,stockade_server=debug",
    });
    let lines = fmt()
        .with_env_filter(filter)
        // Disabled if stderr is not a terminal or the environment forbids it (`NO_COLOR`).
        .with_ansi(AutoStream::choice(&io::stderr()) != ColorChoice::Never)
        .with_writer(io::stderr);
    let set = match config.format {
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init(),
        LogFormat::Text => lines.with_target(false).try_init(),
    };
    if set.is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
}

/// Logs the location but not the message, which may contain client data.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        thread = std::thread::current().name(),
        "panic"
    );
}
