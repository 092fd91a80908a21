//! The waiting requests of this process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// One queue per key; at most as many as there are waiting requests.
#[derive(Default)]
pub(super) struct Queues(Mutex<State>);

#[derive(Default)]
struct State {
    queues: HashMap<String, Queue>,
    waiting: usize,
}

#[derive(Default)]
struct Queue {
    /// Fair: served in the order of arrival.
    turn: Arc<tokio::sync::Mutex<()>>,
    waiting: usize,
}

impl Queues {
    /// The index of the first of these keys that a request waits for.
    pub(super) fn contested(&self, keys: &[String]) -> Option<usize> {
        let state = self.lock();
        keys.iter().position(|key| state.queues.contains_key(key))
    }

    /// Enters the queue of a key; `None` if too many requests wait.
    pub(super) fn enter(&self, key: &str, max: usize) -> Option<Waiter<'_>> {
        let mut state = self.lock();
        if state.waiting >= max {
            return None;
        }
        state.waiting += 1;
        let queue = state.queues.entry(key.to_owned()).or_default();
        queue.waiting += 1;
        Some(Waiter {
            turn: Arc::clone(&queue.turn),
            queues: self,
            key: key.to_owned(),
        })
    }

    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiting request; dropping it leaves the queue.
pub(super) struct Waiter<'q> {
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    queues: &'q Queues,
    key: String,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut state = self.queues.lock();
        state.waiting -= 1;
        if let Some(queue) = state.queues.get_mut(&self.key) {
            queue.waiting -= 1;
            if queue.waiting == 0 {
                state.queues.remove(&self.key);
            }
        }
    }
}
