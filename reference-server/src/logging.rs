//! Log lines, on standard error.

use std::{io, panic};

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::{EnvFilter, fmt};

use crate::{LogConfig, LogFormat, LogLevel};

/// Sends log lines where the configuration says. The first call in a process counts.
pub(crate) fn init(config: &LogConfig) {
    let filter = EnvFilter::new(match config.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        // The libraries beneath are talkative.
        LogLevel::Info => "warn,stockade=info",
        LogLevel::Debug => "info,stockade_server=debug",
    });
    let lines = fmt()
        .with_env_filter(filter)
        // Not where stderr is no terminal, or the environment says no (`NO_COLOR`).
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

/// Says where, and not what: a panic's message may hold what a client sent.
fn log_panic(panic: &panic::PanicHookInfo<'_>) {
    tracing::error!(
        location = panic.location().map(tracing::field::display),
        thread = std::thread::current().name(),
        "panic"
    );
}
