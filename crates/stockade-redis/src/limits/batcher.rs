//! Takes orders to Redis, as many at once as there are.

use std::sync::{
    Arc, LazyLock,
    atomic::{AtomicU64, Ordering},
};

use redis::Script;
use stockade_rate_limit::{StoreError, StoreErrorKind};
use tokio::{
    sync::{
        OwnedSemaphorePermit, Semaphore,
        mpsc::{self, error::TrySendError},
    },
    time::{MissedTickBehavior, interval},
};

use super::{
    call::{LeaseCall, PendingCall},
    lease::{LIFETIME, LeaseReply},
    leases::Leases,
    wire::{self, CallOutcome},
};
use crate::{Redis, error::CallError};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("script.lua")));

/// The most orders of one call.
const MAX_BATCH: usize = 64;
/// The most calls on their way at once. While they are, orders gather for the next one.
const MAX_IN_FLIGHT: usize = 2;

pub(super) struct Batcher {
    calls: mpsc::Receiver<PendingCall>,
    slots: Arc<Semaphore>,
    sender: CallSender,
}

impl Batcher {
    pub(super) fn new(
        calls: mpsc::Receiver<PendingCall>,
        requeue: mpsc::WeakSender<PendingCall>,
        redis: &Redis,
        leases: Option<Arc<Leases>>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            calls,
            slots: Arc::new(Semaphore::new(MAX_IN_FLIGHT)),
            sender: CallSender {
                requeue,
                redis: redis.clone(),
                leases,
                dropped,
            },
        }
    }

    pub(super) async fn run(mut self) {
        let mut sweep = interval(LIFETIME / 2);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            // A free call first, so that all who come until then go with it.
            let mut slot = self.slot().await;
            let mut batch = Vec::with_capacity(MAX_BATCH);
            tokio::select! {
                count = self.calls.recv_many(&mut batch, MAX_BATCH) => {
                    if count == 0 {
                        return;
                    }
                }
                _ = sweep.tick(), if self.sender.leases.is_some() => {
                    let leases = self.sender.leases.iter();
                    batch.extend(leases.flat_map(|leases| leases.sweep()).map(PendingCall::Lease));
                }
            }
            // Whoever has given up is not charged any more.
            batch.retain(PendingCall::is_wanted);
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(MAX_BATCH));
                self.send(batch, slot);
                batch = rest;
                slot = self.slot().await;
            }
        }
    }

    async fn slot(&self) -> OwnedSemaphorePermit {
        let slots = Arc::clone(&self.slots);
        slots.acquire_owned().await.expect("never closed")
    }

    fn send(&self, calls: Vec<PendingCall>, slot: OwnedSemaphorePermit) {
        let sender = self.sender.clone();
        tokio::spawn(async move {
            sender.send(calls).await;
            drop(slot);
        });
    }
}

#[derive(Clone)]
struct CallSender {
    requeue: mpsc::WeakSender<PendingCall>,
    redis: Redis,
    leases: Option<Arc<Leases>>,
    dropped: Arc<AtomicU64>,
}

impl CallSender {
    async fn send(&self, calls: Vec<PendingCall>) {
        let (keys, packed) = wire::encode(&calls);
        let mut invocation = SCRIPT.prepare_invoke();
        for key in keys {
            invocation.key(key);
        }
        invocation.arg(packed);
        let answer: Result<Vec<u8>, CallError> = self.redis.link().run(&invocation).await;
        let outcomes = answer
            .and_then(|answer| wire::decode(&calls, &answer).ok_or(CallError::UnexpectedReply));
        match outcomes {
            Ok(outcomes) => {
                for (call, outcome) in calls.into_iter().zip(outcomes) {
                    self.done(call, outcome);
                }
            }
            Err(failure) => {
                for call in calls {
                    self.failed(call, failure.clone());
                }
            }
        }
    }

    fn done(&self, call: PendingCall, outcome: CallOutcome) {
        match (call, outcome) {
            (PendingCall::Take { reply, .. }, CallOutcome::Taken(decision)) => {
                // Nobody may be waiting any more.
                let _ = reply.send(Ok(decision));
            }
            (PendingCall::Lease(call), CallOutcome::Leased(granted)) => {
                self.leased(&call, Some(&granted));
            }
            // A debit has no answer. The others have that of their own kind only; one that is
            // dropped without a reply is an error where it is waited for.
            (PendingCall::Settle { .. } | PendingCall::Take { .. } | PendingCall::Lease(_), _) => {}
        }
    }

    fn failed(&self, call: PendingCall, failure: CallError) {
        match call {
            PendingCall::Take { reply, .. } => {
                // The client may have left.
                let _ = reply.send(Err(failure.into()));
            }
            PendingCall::Lease(call) => self.leased(&call, None),
            PendingCall::Settle { .. } => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Tells the leases, and sends on what waited for this one and got nothing.
    fn leased(&self, call: &LeaseCall, granted: Option<&LeaseReply>) {
        let Some(leases) = &self.leases else {
            return;
        };
        let unserved = leases.answered(call, granted);
        let Some(requeue) = self.requeue.upgrade() else {
            return refuse(unserved);
        };
        let full = unserved
            .into_iter()
            .filter_map(|call| requeue.try_send(call).err());
        refuse(full.map(TrySendError::into_inner));
    }
}

/// Tells those who asked for a decision that there was no room for that.
pub(super) fn refuse(calls: impl IntoIterator<Item = PendingCall>) {
    for call in calls {
        // No other kind is parked, and so refused.
        if let PendingCall::Take { reply, .. } = call {
            let _ = reply.send(Err(StoreError::new(StoreErrorKind::Busy)));
        }
    }
}
