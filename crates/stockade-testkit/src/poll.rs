//! Polling with a deadline, for state that another thread or process changes.
//!
//! Prefer a [`FakeClock`](crate::FakeClock) or tokio's paused clock where the code under test
//! takes one: then nothing is waited for.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Generous, since the machine may be busy; reached only by tests that fail.
const DEADLINE: Duration = Duration::from_secs(30);
const INTERVAL: Duration = Duration::from_millis(5);

/// Blocks until the condition holds, and returns the elapsed time.
///
/// # Panics
/// If the condition does not hold after 30 seconds; the message contains `what`.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "timed out waiting for: {what}");
        thread::sleep(INTERVAL);
    }
    start.elapsed()
}

/// Waits until the condition holds, and returns the elapsed time. Needs tokio's timer.
///
/// # Panics
/// If the condition does not hold after 30 seconds; the message contains `what`.
pub async fn until_async(what: &str, mut condition: impl AsyncFnMut() -> bool) -> Duration {
    let start = tokio::time::Instant::now();
    let polling = async {
        while !condition().await {
            tokio::time::sleep(INTERVAL).await;
        }
    };
    match tokio::time::timeout(DEADLINE, polling).await {
        Ok(()) => start.elapsed(),
        Err(_) => panic!("timed out waiting for: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_until_the_condition_holds() {
        let mut polls = 0;
        let elapsed = until("the third poll", || {
            polls += 1;
            polls == 3
        });
        assert_eq!(polls, 3);
        assert!(elapsed >= 2 * INTERVAL);
    }

    #[tokio::test(start_paused = true)]
    async fn waits_until_the_condition_holds() {
        let mut polls = 0;
        let elapsed = until_async("the third poll", async || {
            polls += 1;
            polls == 3
        });
        assert_eq!(elapsed.await, 2 * INTERVAL);
        assert_eq!(polls, 3);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "timed out waiting for: a miracle")]
    async fn panics_after_the_deadline() {
        until_async("a miracle", async || false).await;
    }
}
