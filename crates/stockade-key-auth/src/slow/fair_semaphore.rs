//! A semaphore that is fair between clients.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use stockade_core::client::ClientBucket;
use tokio::sync::oneshot;

use super::Busy;

/// The client of a request; all clients with an unknown address share one entry.
pub(crate) type Client = Option<ClientBucket>;

/// A semaphore with a bounded queue, shared fairly between clients.
///
/// 1. A free permit is granted immediately.
/// 2. Waiting clients are served round-robin, regardless of their number of requests.
/// 3. When the queue is full, a client with fewer permits and slots than another displaces the
///    newest waiting request of the client with the most, which gets [`Busy`]. One client can
///    thus fill the queue only while no other client needs it.
#[derive(Clone, Debug)]
pub(crate) struct FairSemaphore(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    max_waiting: usize,
    next_waiter: u64,
    clients: HashMap<Client, ClientState>,
    /// Clients with waiting requests, in order of service.
    order: VecDeque<Client>,
}

/// The permits and queued requests of a client.
#[derive(Debug, Default)]
struct ClientState {
    permits: usize,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: u64,
    grant: oneshot::Sender<Permit>,
}

impl ClientState {
    fn total(&self) -> usize {
        self.permits + self.waiters.len()
    }
}

impl FairSemaphore {
    pub(crate) fn new(permits: usize, max_waiting: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: permits,
            waiting: 0,
            max_waiting,
            next_waiter: 0,
            clients: HashMap::new(),
            order: VecDeque::new(),
        })))
    }

    /// Acquires a permit or a queue slot without waiting.
    pub(crate) fn acquire(&self, client: Client) -> Result<Acquire, Busy> {
        let mut state = self.state();
        // Requests wait only while no permit is free.
        if state.free > 0 {
            state.free -= 1;
            state.client(client).permits += 1;
            return Ok(Acquire::Ready(self.permit(client)));
        }
        if state.waiting >= state.max_waiting {
            state.evict_for(client)?;
        }
        let (grant, granted) = oneshot::channel();
        let number = state.wait(client, grant);
        Ok(Acquire::Queued(QueueSlot {
            semaphore: self.clone(),
            client,
            number,
            granted,
        }))
    }

    fn permit(&self, client: Client) -> Permit {
        Permit(Some((self.clone(), client)))
    }

    fn release(&self, client: Client) {
        let mut state = self.state();
        state.client(client).permits -= 1;
        state.forget_idle(client);
        while let Some((next, waiter)) = state.next_waiter() {
            state.client(next).permits += 1;
            let Err(mut permit) = waiter.grant.send(self.permit(next)) else {
                return;
            };
            // The request was cancelled meanwhile. Dropping an armed permit here would deadlock
            // on the state.
            permit.0 = None;
            state.client(next).permits -= 1;
            state.forget_idle(next);
        }
        state.free += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn client(&mut self, client: Client) -> &mut ClientState {
        self.clients.entry(client).or_default()
    }

    fn wait(&mut self, client: Client, grant: oneshot::Sender<Permit>) -> u64 {
        let number = self.next_waiter;
        self.next_waiter += 1;
        self.waiting += 1;
        let waiters = &mut self.client(client).waiters;
        waiters.push_back(Waiter { number, grant });
        if waiters.len() == 1 {
            self.order.push_back(client);
        }
        number
    }

    /// Dequeues the next request in round-robin order.
    fn next_waiter(&mut self) -> Option<(Client, Waiter)> {
        let client = self.order.pop_front()?;
        let waiters = &mut self.client(client).waiters;
        let waiter = waiters.pop_front()?;
        if !waiters.is_empty() {
            self.order.push_back(client);
        }
        self.waiting -= 1;
        Some((client, waiter))
    }

    /// Evicts a waiting request of another client that holds at least two more than this one.
    fn evict_for(&mut self, client: Client) -> Result<(), Busy> {
        let own = self.clients.get(&client).map_or(0, ClientState::total);
        let waiting = self
            .clients
            .iter()
            .filter(|(_, held)| !held.waiters.is_empty());
        let (&largest, held) = waiting.max_by_key(|(_, held)| held.total()).ok_or(Busy)?;
        if held.total() <= own + 1 {
            return Err(Busy);
        }
        // Dropping the sender fails the request.
        let newest = held
            .waiters
            .back()
            .map(|waiter| waiter.number)
            .ok_or(Busy)?;
        self.remove(largest, newest);
        Ok(())
    }

    /// Removes a waiting request.
    fn remove(&mut self, client: Client, number: u64) {
        let waiters = &mut self.client(client).waiters;
        let before = waiters.len();
        waiters.retain(|waiter| waiter.number != number);
        let (removed, left) = (before - waiters.len(), waiters.len());
        self.waiting -= removed;
        if left == 0 {
            self.order.retain(|waiting| *waiting != client);
        }
        self.forget_idle(client);
    }

    fn forget_idle(&mut self, client: Client) {
        if self
            .clients
            .get(&client)
            .is_some_and(|held| held.total() == 0)
        {
            self.clients.remove(&client);
        }
    }
}

/// A permit, or a queue slot to wait for one.
#[derive(Debug)]
pub(crate) enum Acquire {
    Ready(Permit),
    Queued(QueueSlot),
}

impl Acquire {
    /// Waits for the permit.
    ///
    /// # Errors
    /// Returns an error when another client displaced the request.
    pub(crate) async fn wait(self) -> Result<Permit, Busy> {
        match self {
            Self::Ready(permit) => Ok(permit),
            Self::Queued(mut waiting) => (&mut waiting.granted).await.map_err(|_| Busy),
        }
    }
}

/// A slot in the queue; released on drop.
#[derive(Debug)]
pub(crate) struct QueueSlot {
    semaphore: FairSemaphore,
    client: Client,
    number: u64,
    granted: oneshot::Receiver<Permit>,
}

impl Drop for QueueSlot {
    fn drop(&mut self) {
        self.semaphore.state().remove(self.client, self.number);
    }
}

/// A permit; drop passes it to the next waiting request.
#[derive(Debug)]
pub(crate) struct Permit(Option<(FairSemaphore, Client)>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((semaphore, client)) = self.0.take() {
            semaphore.release(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use stockade_core::client::ClientIp;

    use super::*;

    fn client(last: u8) -> Client {
        Some(ClientIp::Ip([192, 0, 2, last].into()).bucket(64))
    }

    /// Polls for the permit once.
    fn now(acquire: Acquire) -> Option<Result<Permit, Busy>> {
        let waker = Waker::noop();
        match pin!(acquire.wait()).poll(&mut Context::from_waker(waker)) {
            Poll::Ready(permit) => Some(permit),
            Poll::Pending => None,
        }
    }

    fn granted(acquire: Acquire) -> Permit {
        now(acquire)
            .expect("the permit is granted")
            .expect("the request was not evicted")
    }

    // FA03
    #[test]
    fn serves_clients_round_robin() {
        let semaphore = FairSemaphore::new(1, 8);
        let running = semaphore.acquire(client(1)).unwrap();
        let flood: Vec<_> = (0..5)
            .map(|_| semaphore.acquire(client(1)).unwrap())
            .collect();
        let other = semaphore.acquire(client(2)).unwrap();
        let third = semaphore.acquire(client(3)).unwrap();
        drop(running);
        // The first request of the flood, then one of each other client, then its second.
        let mut flood = flood.into_iter();
        drop(granted(flood.next().unwrap()));
        drop(granted(other));
        drop(granted(third));
        drop(granted(flood.next().unwrap()));
    }

    // FA03
    #[test]
    fn full_queue_evicts_from_the_largest_client() {
        let semaphore = FairSemaphore::new(1, 3);
        let running = semaphore.acquire(client(1)).unwrap();
        let mut flood: Vec<_> = (0..3)
            .map(|_| semaphore.acquire(client(1)).unwrap())
            .collect();
        assert!(
            semaphore.acquire(client(1)).is_err(),
            "a client does not displace itself"
        );

        let second = semaphore.acquire(client(2)).unwrap();
        let evicted = flood.pop().unwrap();
        assert!(
            now(evicted).unwrap().is_err(),
            "the newest request of the flood"
        );
        let third = semaphore.acquire(client(3)).unwrap();
        assert!(now(flood.pop().unwrap()).unwrap().is_err());
        // Each client holds one and the flood two, so the next client displaces one of those.
        let fourth = semaphore.acquire(client(4)).unwrap();
        assert!(now(flood.pop().unwrap()).unwrap().is_err());
        // Now every client holds one.
        assert!(semaphore.acquire(client(5)).is_err());

        drop(running);
        drop(granted(second));
        drop(granted(third));
        drop(granted(fourth));
        drop(granted(semaphore.acquire(client(5)).unwrap()));
        let state = semaphore.state();
        assert_eq!((state.free, state.waiting), (1, 0));
        assert!(state.clients.is_empty() && state.order.is_empty());
    }

    #[test]
    fn cancelled_request_releases_its_slot() {
        let semaphore = FairSemaphore::new(1, 1);
        let running = semaphore.acquire(client(1)).unwrap();
        drop(semaphore.acquire(client(2)).unwrap());
        let waiting = semaphore.acquire(client(3)).unwrap();
        drop(running);
        // The permit was granted, but the request is never polled again.
        drop(waiting);
        let state = semaphore.state();
        assert_eq!((state.free, state.waiting), (1, 0));
        assert!(state.clients.is_empty() && state.order.is_empty());
    }

    #[test]
    fn without_queue_only_permits_are_granted() {
        let semaphore = FairSemaphore::new(1, 0);
        let running = semaphore.acquire(client(1)).unwrap();
        assert!(semaphore.acquire(client(2)).is_err());
        drop(running);
        assert!(semaphore.acquire(client(2)).is_ok());
    }
}
