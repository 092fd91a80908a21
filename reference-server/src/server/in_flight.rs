//! The requests of one connection that are not answered to their end.
//!
//! A client that reads slowly, or not at all, keeps an answer alive: nothing asks for its
//! next piece, so nothing in it finds out that its time is over. And a client that has an
//! answer may stay for ever without asking for anything. Whoever serves the connection asks
//! here which of it is the case.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

/// Shared by a connection and its requests.
#[derive(Clone, Debug)]
pub(super) struct InFlight(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    /// By their number, so the oldest one comes first.
    started: BTreeMap<u64, Instant>,
    next_id: u64,
    idle_since: Instant,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Nothing, since then.
    Idle(Instant),
    /// It answers requests; the oldest one came then.
    Busy(Instant),
}

impl InFlight {
    /// Of a connection that begins now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            started: BTreeMap::new(),
            next_id: 0,
            idle_since: Instant::now(),
        })))
    }

    /// A request came.
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

    pub(super) fn activity(&self) -> Activity {
        let state = self.state();
        match state.started.first_key_value() {
            Some((_, started)) => Activity::Busy(*started),
            None => Activity::Idle(state.idle_since),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request until its answer has ended, or was dropped.
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
    async fn the_oldest_request_counts_until_its_answer_is_gone() {
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
