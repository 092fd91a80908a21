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
    begun: BTreeMap<u64, Instant>,
    next: u64,
    idle_since: Instant,
}

/// What a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Nothing, since then.
    Nothing(Instant),
    /// It answers requests; the oldest one came then.
    Answering(Instant),
}

impl InFlight {
    /// Of a connection that begins now.
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            begun: BTreeMap::new(),
            next: 0,
            idle_since: Instant::now(),
        })))
    }

    /// A request came.
    pub(super) fn begin(&self) -> Begun {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        state.begun.insert(number, Instant::now());
        Begun {
            number,
            all: self.clone(),
        }
    }

    pub(super) fn doing(&self) -> Doing {
        let state = self.state();
        match state.begun.first_key_value() {
            Some((_, begun)) => Doing::Answering(*begun),
            None => Doing::Nothing(state.idle_since),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request until its answer has ended, or was dropped.
#[derive(Debug)]
pub(super) struct Begun {
    number: u64,
    all: InFlight,
}

impl Drop for Begun {
    fn drop(&mut self) {
        let mut state = self.all.state();
        state.begun.remove(&self.number);
        state.idle_since = Instant::now();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{body::Body, response::Response};

    use super::*;
    use crate::server::answer;

    #[tokio::test(start_paused = true)]
    async fn the_oldest_request_counts_until_its_answer_is_gone() {
        let second = || tokio::time::advance(Duration::from_secs(1));
        let all = InFlight::new();
        let start = Instant::now();
        assert_eq!(all.doing(), Doing::Nothing(start));

        second().await;
        let first = all.begin();
        let first_came = Instant::now();
        second().await;
        let second_one = all.begin();
        let second_came = Instant::now();
        assert_eq!(all.doing(), Doing::Answering(first_came));

        let answer = answer::send(Response::new(Body::from("a")), first, None);
        assert_eq!(all.doing(), Doing::Answering(first_came));
        drop(answer);
        assert_eq!(all.doing(), Doing::Answering(second_came));
        second().await;
        drop(second_one);
        assert_eq!(all.doing(), Doing::Nothing(Instant::now()));
    }
}
