//! Sends pending calls to Redis in batches.

use std::{
    mem,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use redis::Script;
use stockade_rate_limit::{StoreError, StoreErrorKind};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
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

/// Each batch has a cost of its own, in Redis and here. Therefore a second one is sent only when it
/// has as many calls as the first: under load, both fill. A lease is sent as soon as possible: many
/// requests may wait for it.
pub(super) struct Batcher {
    calls: mpsc::Receiver<PendingCall>,
    /// What was received, and not sent.
    batch: Vec<PendingCall>,
    /// The batches in flight, which return their number of calls.
    in_flight: JoinSet<usize>,
    /// The calls in flight.
    calls_in_flight: usize,
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
            batch: Vec::with_capacity(MAX_BATCH),
            in_flight: JoinSet::new(),
            calls_in_flight: 0,
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
            tokio::select! {
                count = self.calls.recv_many(&mut self.batch, MAX_BATCH),
                    if self.batch.len() < MAX_BATCH => {
                    if count == 0 {
                        break;
                    }
                }
                Some(size) = self.in_flight.join_next() => {
                    // A batch that panicked has no size.
                    self.calls_in_flight = match self.in_flight.is_empty() {
                        true => 0,
                        false => self.calls_in_flight - size.unwrap_or_default(),
                    };
                }
                _ = sweep.tick(), if self.sender.leases.is_some() => {
                    let leases = self.sender.leases.iter();
                    let ended = leases.flat_map(|leases| leases.sweep());
                    self.batch.extend(ended.map(PendingCall::Lease));
                }
            }
            // Requests that were dropped are not charged.
            self.batch.retain(PendingCall::is_wanted);
            while self.is_due() {
                self.send();
            }
        }
        while !self.batch.is_empty() {
            self.send();
        }
        while self.in_flight.join_next().await.is_some() {}
    }

    fn is_due(&self) -> bool {
        !self.batch.is_empty()
            && self.in_flight.len() < MAX_IN_FLIGHT
            && (self.batch.len() >= self.calls_in_flight.min(MAX_BATCH)
                || self.batch.iter().any(PendingCall::is_lease))
    }

    fn send(&mut self) {
        let rest = self.batch.split_off(self.batch.len().min(MAX_BATCH));
        let calls = mem::replace(&mut self.batch, rest);
        let (sender, size) = (self.sender.clone(), calls.len());
        self.calls_in_flight += size;
        self.in_flight.spawn(async move {
            sender.send(calls).await;
            size
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
