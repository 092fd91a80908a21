//! The messages that are not delivered yet.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::{Message, QUEUED, state_file::Queues};

/// The maximum number of messages for a destination.
const MAX_MESSAGES: usize = 200;

/// A queue for each destination.
pub(super) struct Outbox {
    queues: Mutex<BTreeMap<&'static str, VecDeque<Message>>>,
    added: Notify,
}

impl Outbox {
    /// Queues for these destinations, with what the last run has left.
    pub(super) fn new(names: impl Iterator<Item = &'static str>, mut saved: Queues) -> Self {
        let queue = |name: &'static str| {
            let mut messages = VecDeque::from(saved.remove(name).unwrap_or_default());
            messages.truncate(MAX_MESSAGES);
            (name, messages)
        };
        Self {
            queues: Mutex::new(names.map(queue).collect()),
            added: Notify::new(),
        }
    }

    /// The queues as they will be after a [`push`](Self::push).
    pub(super) fn with(&self, messages: &[Message]) -> Queues {
        let queues = self.lock();
        let after = queues.iter().map(|(name, queue)| {
            let all = queue.iter().chain(messages).cloned();
            ((*name).to_owned(), all.collect())
        });
        after.collect()
    }

    /// Adds messages for each destination. The oldest ones are dropped at the maximum.
    pub(super) fn push(&self, messages: &[Message]) {
        let mut queues = self.lock();
        let mut dropped = 0;
        for queue in queues.values_mut() {
            queue.extend(messages.iter().cloned());
            let excess = queue.len().saturating_sub(MAX_MESSAGES);
            dropped += excess;
            queue
                .drain(..excess)
                .for_each(|message| message.count("dropped"));
        }
        record(&queues);
        drop(queues);
        if dropped > 0 {
            tracing::error!(
                dropped,
                "too many alerts are not delivered; the oldest are dropped"
            );
        }
        if !messages.is_empty() {
            self.added.notify_waiters();
        }
    }

    /// The oldest message for a destination, when there is one.
    pub(super) async fn next(&self, name: &'static str) -> Message {
        loop {
            let added = self.added.notified();
            let first = self
                .lock()
                .get(name)
                .and_then(|queue| queue.front().cloned());
            if let Some(message) = first {
                return message;
            }
            added.await;
        }
    }

    /// Removes a message of a destination.
    pub(super) fn remove(&self, name: &'static str, id: &str) {
        let mut queues = self.lock();
        if let Some(queue) = queues.get_mut(name) {
            queue.retain(|message| message.id != id);
        }
        record(&queues);
    }

    /// Removes a destination. Returns its messages.
    pub(super) fn close(&self, name: &'static str) -> VecDeque<Message> {
        let mut queues = self.lock();
        let closed = queues.remove(name).unwrap_or_default();
        record(&queues);
        closed
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, VecDeque<Message>>> {
        // No code panics while the lock is held.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn record(queues: &BTreeMap<&'static str, VecDeque<Message>>) {
    let queued: usize = queues.values().map(VecDeque::len).sum();
    metrics::gauge!(QUEUED).set(queued as f64);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(count: u64) -> Vec<Message> {
        (0..count).map(|at| Message::test("host", at)).collect()
    }

    #[tokio::test]
    async fn keeps_the_newest_messages_at_the_maximum() {
        let outbox = Outbox::new(["a", "b"].into_iter(), Queues::new());
        let pushed = messages(MAX_MESSAGES as u64 + 3);
        outbox.push(&pushed);
        assert_eq!(outbox.next("a").await, pushed[3]);
        outbox.remove("a", &pushed[3].id);
        assert_eq!(outbox.next("a").await, pushed[4]);
        assert_eq!(outbox.next("b").await, pushed[3], "another queue");
        assert_eq!(outbox.close("b").len(), MAX_MESSAGES);
        let queues = outbox.with(&pushed[..1]);
        assert_eq!(queues.len(), 1);
        assert_eq!(queues["a"].len(), MAX_MESSAGES);
    }

    #[tokio::test]
    async fn continues_with_the_messages_of_the_last_run() {
        let saved = messages(2);
        let queues = Queues::from([
            ("a".to_owned(), saved.clone()),
            ("removed".to_owned(), messages(1)),
        ]);
        let outbox = Outbox::new(["a"].into_iter(), queues);
        assert_eq!(outbox.with(&[]), Queues::from([("a".to_owned(), saved)]));
    }
}
