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
    batch::{self, Outcome},
    lease::{Granted, LIFETIME},
    leases::Leases,
    order::{LeaseOrder, Order},
};
use crate::{Redis, fault::Failure};

static SCRIPT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("script.lua")));

/// The most orders of one call.
const BATCH: usize = 64;
/// The most calls on their way at once. While they are, orders gather for the next one.
const CALLS: usize = 2;

pub(super) struct Courier {
    orders: mpsc::Receiver<Order>,
    slots: Arc<Semaphore>,
    call: Call,
}

impl Courier {
    pub(super) fn new(
        orders: mpsc::Receiver<Order>,
        again: mpsc::WeakSender<Order>,
        redis: &Redis,
        leases: Option<Arc<Leases>>,
        dropped: Arc<AtomicU64>,
    ) -> Self {
        Self {
            orders,
            slots: Arc::new(Semaphore::new(CALLS)),
            call: Call {
                again,
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
            let mut batch = Vec::with_capacity(BATCH);
            tokio::select! {
                count = self.orders.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                }
                _ = sweep.tick(), if self.call.leases.is_some() => {
                    let leases = self.call.leases.iter();
                    batch.extend(leases.flat_map(|leases| leases.sweep()).map(Order::Lease));
                }
            }
            // Whoever has given up is not charged any more.
            batch.retain(Order::is_wanted);
            while !batch.is_empty() {
                let rest = batch.split_off(batch.len().min(BATCH));
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

    fn send(&self, orders: Vec<Order>, slot: OwnedSemaphorePermit) {
        let call = self.call.clone();
        tokio::spawn(async move {
            call.send(orders).await;
            drop(slot);
        });
    }
}

#[derive(Clone)]
struct Call {
    again: mpsc::WeakSender<Order>,
    redis: Redis,
    leases: Option<Arc<Leases>>,
    dropped: Arc<AtomicU64>,
}

impl Call {
    async fn send(&self, orders: Vec<Order>) {
        let (keys, packed) = batch::pack(&orders);
        let mut call = SCRIPT.prepare_invoke();
        for key in keys {
            call.key(key);
        }
        call.arg(packed);
        let answer: Result<Vec<u8>, Failure> = self.redis.link().run(&call).await;
        let outcomes =
            answer.and_then(|answer| batch::unpack(&orders, &answer).ok_or(Failure::NoAnswer));
        match outcomes {
            Ok(outcomes) => {
                for (order, outcome) in orders.into_iter().zip(outcomes) {
                    self.done(order, outcome);
                }
            }
            Err(failure) => {
                for order in orders {
                    self.failed(order, failure.clone());
                }
            }
        }
    }

    fn done(&self, order: Order, outcome: Outcome) {
        match (order, outcome) {
            (Order::Take { reply, .. }, Outcome::Taken(decision)) => {
                // Nobody may be waiting any more.
                let _ = reply.send(Ok(decision));
            }
            (Order::Lease(order), Outcome::Leased(granted)) => {
                self.leased(&order, Some(&granted));
            }
            // A debit has no answer. The others have that of their own kind only; one that is
            // dropped without a reply is an error where it is waited for.
            (Order::Settle { .. } | Order::Take { .. } | Order::Lease(_), _) => {}
        }
    }

    fn failed(&self, order: Order, failure: Failure) {
        match order {
            Order::Take { reply, .. } => {
                // The client may have left.
                let _ = reply.send(Err(failure.into()));
            }
            Order::Lease(order) => self.leased(&order, None),
            Order::Settle { .. } => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Tells the leases, and sends on what waited for this one and got nothing.
    fn leased(&self, order: &LeaseOrder, granted: Option<&Granted>) {
        let Some(leases) = &self.leases else {
            return;
        };
        let unserved = leases.answered(order, granted);
        let Some(again) = self.again.upgrade() else {
            return refuse(unserved);
        };
        let full = unserved
            .into_iter()
            .filter_map(|order| again.try_send(order).err());
        refuse(full.map(TrySendError::into_inner));
    }
}

/// Tells those who asked for a decision that there was no room for that.
pub(super) fn refuse(orders: impl IntoIterator<Item = Order>) {
    for order in orders {
        // No other kind is parked, and so refused.
        if let Order::Take { reply, .. } = order {
            let _ = reply.send(Err(StoreError::new(StoreErrorKind::Busy)));
        }
    }
}
