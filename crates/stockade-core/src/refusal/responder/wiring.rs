//! Wiring faults: the server refuses requests because it is set up incorrectly.

use std::sync::{Mutex, PoisonError};

/// The remedies that were logged. They are constants of guards, so there are few.
static LOGGED: Mutex<Vec<&str>> = Mutex::new(Vec::new());

/// Logs a wiring fault at error level, once for each remedy: every request meets it again.
#[cold]
pub(super) fn report(guard: &'static str, remedy: &'static str) {
    let mut logged = LOGGED.lock().unwrap_or_else(PoisonError::into_inner);
    if logged.contains(&remedy) {
        return;
    }
    logged.push(remedy);
    drop(logged);
    tracing::error!(
        guard,
        help = remedy,
        "requests are answered with 500 NOT_CONFIGURED: the server is not set up correctly"
    );
}
