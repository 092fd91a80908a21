//! Sends pending calls to Redis in batches.

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

/// The highest number of calls per batch.
const MAX_BATCH: usize = 64;
/// The highest number of batches in flight. Meanwhile, calls gather for the next one.
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
            // Waits for a slot first, so that all calls that arrive until then join the batch.
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
            // Requests that were dropped are not charged.
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
        slots
            .acquire_owned()
            .await
            .expect("the semaphore is never closed")
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
                // The receiver may be gone.
                let _ = reply.send(Ok(decision));
            }
            (PendingCall::Lease(call), CallOutcome::Leased(granted)) => {
                self.leased(&call, Some(&granted));
            }
            // A settlement has no reply, and the others only have one of their own kind. A
            // call dropped without a reply is an error at its receiver.
            (PendingCall::Settle { .. } | PendingCall::Take { .. } | PendingCall::Lease(_), _) => {}
        }
    }

    fn failed(&self, call: PendingCall, failure: CallError) {
        match call {
            PendingCall::Take { reply, .. } => {
                // The client may have disconnected.
                let _ = reply.send(Err(failure.into()));
            }
            PendingCall::Lease(call) => self.leased(&call, None),
            PendingCall::Settle { .. } => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Passes the reply to the leases, and requeues parked calls that the lease did not cover.
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

/// Refuses calls because the queue is full.
pub(super) fn refuse(calls: impl IntoIterator<Item = PendingCall>) {
    for call in calls {
        // Only calls of this kind are parked.
        if let PendingCall::Take { reply, .. } = call {
            let _ = reply.send(Err(StoreError::new(StoreErrorKind::Busy)));
        }
    }
}
