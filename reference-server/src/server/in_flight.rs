//! Tracks the requests of a connection whose responses are not complete.
//!
//! A client that reads slowly, or not at all, keeps a response alive: its body is not polled, so
//! it does not notice that its deadline has passed. A client can also keep a connection open
//! without sending a request. The connection uses this state to detect both.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// The requests in flight, shared by a connection and its requests.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// Start times by request id, so that the oldest request is first.
    started: BTreeMap<u64, Instant>,
    next_id: u64,
    idle_since: Instant,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// No request is in flight since this instant.
    Idle(Instant),
    /// Requests are in flight; the oldest one arrived at this instant.
    Busy(Instant),
}

impl InFlight {
    /// Creates the state of a new connection.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            started: BTreeMap::new(),
            next_id: 0,
            idle_since: Instant::now(),
        })))
    }

    /// Registers a request until the guard is dropped.
    pub(super) fn start_request(&self) -> RequestGuard {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.started.insert(id, Instant::now());
        RequestGuard {
            id,
            requests: self.clone(),
        }
    }

    /// What the connection is doing now.
    pub(super) fn activity(&self) -> Activity {
        let state = self.state();
        match state.started.first_key_value() {
            Some((_, started)) => Activity::Busy(*started),
            None => Activity::Idle(state.idle_since),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps a request in flight until its response is complete or dropped.
#[derive(Debug)]
pub(super) struct RequestGuard {
    id: u64,
    requests: InFlight,
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        let mut state = self.requests.state();
        state.started.remove(&self.id);
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{body::Body, response::Response};

    use super::*;
    use crate::server::response_body;

    #[tokio::test(start_paused = true)]
    async fn reports_the_oldest_request_until_its_response_is_dropped() {
        let second = || tokio::time::advance(Duration::from_secs(1));
        let requests = InFlight::new();
        let start = Instant::now();
        assert_eq!(requests.activity(), Activity::Idle(start));

        second().await;
        let first = requests.start_request();
        let first_arrived = Instant::now();
        second().await;
        let other = requests.start_request();
        let second_arrived = Instant::now();
        assert_eq!(requests.activity(), Activity::Busy(first_arrived));

        let response = response_body::wrap(Response::new(Body::from("a")), first, None);
        assert_eq!(requests.activity(), Activity::Busy(first_arrived));
        drop(response);
        assert_eq!(requests.activity(), Activity::Busy(second_arrived));
        second().await;
        drop(other);
        assert_eq!(requests.activity(), Activity::Idle(Instant::now()));
    }
}
