//! Bounds the memory of all request bodies together, and of the bodies of one client.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use foldhash::quality::RandomState;
use stockade_core::{
    client::{ClientBucket, ClientIp},
    guard::Head,
    identity::Principal,
};

/// The shared pool of bytes for bodies. Clones share one pool.
#[derive(Clone, Debug)]
pub(crate) struct MemoryBudget(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    left: AtomicUsize,
    /// The size up to which bodies may be exempt.
    exempt: usize,
    /// The maximum bytes of one owner.
    per_owner: usize,
    /// Bytes reserved by each owner. An entry exists only while a body of its owner does, so
    /// there are never more entries than bodies.
    owners: Mutex<HashMap<Owner, usize, RandomState>>,
}

/// The principal or client that a body is accounted to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Principal(Box<str>),
    Client(ClientBucket),
}

/// The prefix length that groups IPv6 clients.
const V6_NETWORK: u8 = 64;

/// The sender of a body, as far as it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller<'a> {
    pub(crate) principal: Option<&'a Principal>,
    pub(crate) client: Option<ClientIp>,
}

impl<'a> Caller<'a> {
    pub(crate) fn of(head: &'a Head) -> Self {
        Self {
            principal: head.context().principal(),
            client: head.context().client(),
        }
    }

    /// The principal, or the address of an anonymous client; `None` if neither is known.
    pub(crate) fn owner(self) -> Option<Owner> {
        match self.principal {
            Some(principal) => Some(Owner::Principal(principal.id().into())),
            None => self
                .client
                .map(|client| Owner::Client(client.bucket(V6_NETWORK))),
        }
    }
}

/// A limit on memory was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryExceeded {
    /// The limit of all bodies together.
    Total,
    /// The limit of this owner.
    Owner,
}

/// Bodies up to this size that arrive with their head are not accounted to their owner: this
/// saves the table look-up, and limits on concurrent requests bound them.
pub(crate) const SMALL_BODY: usize = 64 << 10;

/// The maximum size of bodies that are not accounted at all.
const EXEMPT: usize = 4 << 10;

/// Such bodies use at most this fraction (1 / `EXEMPT_PART`) of the budget.
const EXEMPT_PART: usize = 1 << 16;

impl MemoryBudget {
    /// Creates a pool of `bytes` with a maximum for each owner.
    pub(crate) fn new(bytes: usize, per_owner: usize) -> Self {
        Self(Arc::new(Pool {
            left: AtomicUsize::new(bytes),
            exempt: EXEMPT.min(bytes / EXEMPT_PART),
            per_owner,
            owners: Mutex::default(),
        }))
    }

    /// Checks whether this number of bytes is available now.
    pub(crate) fn check_available(
        &self,
        bytes: usize,
        owner: impl FnOnce() -> Option<Owner>,
    ) -> Result<(), MemoryExceeded> {
        if bytes > self.0.left.load(Ordering::Relaxed) {
            return Err(MemoryExceeded::Total);
        }
        if bytes <= SMALL_BODY {
            return Ok(());
        }
        let taken = owner().map_or(0, |owner| self.0.owners().get(&owner).copied().unwrap_or(0));
        match bytes.saturating_add(taken) > self.0.per_owner {
            true => Err(MemoryExceeded::Owner),
            false => Ok(()),
        }
    }

    /// Whether a body of this size that arrives complete, in one frame, needs no reservation.
    ///
    /// It is a slice of the connection's read buffer, which exists with or without it, so it
    /// adds no memory; and to hold as much as the budget it takes more than 65,536 of them at
    /// the same time, each in a request of its own. When the budget is used up, they are
    /// refused like others.
    pub(crate) fn is_exempt(&self, bytes: usize) -> bool {
        bytes <= self.0.exempt
    }

    /// Starts an empty reservation.
    pub(crate) fn reserve(&self) -> Reservation {
        Reservation {
            memory: self.clone(),
            bytes: 0,
            owner: None,
        }
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.0.left.load(Ordering::Relaxed)
    }
}

impl Pool {
    /// A panic cannot leave the table inconsistent, so poisoning is ignored.
    fn owners(&self) -> MutexGuard<'_, HashMap<Owner, usize, RandomState>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn charge(&self, owner: &Owner, bytes: usize) -> Result<(), MemoryExceeded> {
        let mut owners = self.owners();
        let taken = owners.get(owner).copied().unwrap_or(0);
        let taken = taken.saturating_add(bytes);
        if taken > self.per_owner {
            return Err(MemoryExceeded::Owner);
        }
        match owners.get_mut(owner) {
            Some(entry) => *entry = taken,
            None => drop(owners.insert(owner.clone(), taken)),
        }
        Ok(())
    }

    fn discharge(&self, owner: &Owner, bytes: usize) {
        let mut owners = self.owners();
        if let Some(taken) = owners.get_mut(owner) {
            *taken = taken.saturating_sub(bytes);
            if *taken == 0 {
                owners.remove(owner);
            }
        }
    }
}

/// Reserved bytes, released on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    memory: MemoryBudget,
    bytes: usize,
    /// The owner that is accounted for them, if any.
    owner: Option<Owner>,
}

impl Reservation {
    /// Reserves more bytes.
    pub(crate) fn grow(&mut self, by: usize) -> Result<(), MemoryExceeded> {
        let pool = &self.memory.0;
        if let Some(owner) = &self.owner {
            pool.charge(owner, by)?;
        }
        let take = |left: usize| left.checked_sub(by);
        let taken = pool
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if taken.is_err() {
            if let Some(owner) = &self.owner {
                pool.discharge(owner, by);
            }
            return Err(MemoryExceeded::Total);
        }
        self.bytes += by;
        Ok(())
    }

    /// Accounts current and future bytes to this owner. The first owner stays.
    pub(crate) fn charge(
        &mut self,
        owner: impl FnOnce() -> Option<Owner>,
    ) -> Result<(), MemoryExceeded> {
        if self.owner.is_none()
            && let Some(owner) = owner()
        {
            self.memory.0.charge(&owner, self.bytes)?;
            self.owner = Some(owner);
        }
        Ok(())
    }

    /// Whether the reservation exceeds a small body.
    pub(crate) fn is_large(&self) -> bool {
        self.bytes > SMALL_BODY
    }

    /// Attaches the reservation to the bytes: it is released with their last clone or slice.
    pub(crate) fn into_bytes<T>(self, bytes: T) -> Bytes
    where
        T: AsRef<[u8]> + Send + 'static,
    {
        Bytes::from_owner(ReservedBytes {
            bytes,
            _reservation: self,
        })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let pool = &self.memory.0;
        pool.left.fetch_add(self.bytes, Ordering::Relaxed);
        if let Some(owner) = &self.owner {
            pool.discharge(owner, self.bytes);
        }
    }
}

struct ReservedBytes<T> {
    bytes: T,
    _reservation: Reservation,
}

impl<T> AsRef<[u8]> for ReservedBytes<T>
where
    T: AsRef<[u8]>,
{
    fn as_ref(&self) -> &[u8] {
        self.bytes.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(id: &str) -> Option<Owner> {
        let principal = Principal::builder(id).build();
        let caller = Caller {
            principal: Some(&principal),
            client: None,
        };
        caller.owner()
    }

    // B10
    #[test]
    fn is_released_with_the_last_slice() {
        let memory = MemoryBudget::new(10, 10);
        let mut reservation = memory.reserve();
        reservation.grow(6).unwrap();
        assert_eq!(reservation.grow(5), Err(MemoryExceeded::Total));
        assert_eq!(memory.left(), 4);

        let bytes = reservation.into_bytes(vec![1; 6]);
        let slice = bytes.slice(2..3);
        drop(bytes);
        assert_eq!(memory.left(), 4);
        drop(slice);
        assert_eq!(memory.left(), 10);
    }

    #[test]
    fn exempts_a_small_part_of_the_total() {
        for (total, exempt) in [
            (512 << 20, 4 << 10),
            (256 << 20, 4 << 10),
            (128 << 20, 2 << 10),
            (1 << 20, 16),
            (1_000, 0),
        ] {
            let memory = MemoryBudget::new(total, total);
            assert!(memory.is_exempt(exempt), "{total}");
            assert!(!memory.is_exempt(exempt + 1), "{total}");
        }
    }

    // FA06
    #[test]
    fn an_owner_is_limited_to_its_share() {
        let memory = MemoryBudget::new(100, 25);
        let mut first = memory.reserve();
        first.grow(10).unwrap();
        first.charge(|| owner("a")).unwrap();
        first.grow(10).unwrap();
        let mut second = memory.reserve();
        second.grow(6).unwrap();
        assert_eq!(second.charge(|| owner("a")), Err(MemoryExceeded::Owner));
        second.charge(|| owner("b")).unwrap();
        assert_eq!(first.grow(6), Err(MemoryExceeded::Owner));
        assert_eq!(memory.left(), 100 - 26);

        drop((first, second));
        assert_eq!(memory.left(), 100);
        assert!(memory.0.owners().is_empty());
    }

    // FA06
    #[test]
    fn a_failed_reservation_is_not_accounted() {
        let memory = MemoryBudget::new(30, 25);
        let mut other = memory.reserve();
        other.grow(20).unwrap();
        let mut reservation = memory.reserve();
        reservation.charge(|| owner("a")).unwrap();
        assert_eq!(reservation.grow(20), Err(MemoryExceeded::Total));
        drop(other);
        reservation.grow(25).unwrap();
    }

    #[test]
    fn addresses_of_one_network_share_an_owner() {
        let client = |text: &str| Some(ClientIp::Ip(text.parse().unwrap()));
        let of = |principal, client| Caller { principal, client }.owner();
        let first = of(None, client("2001:db8::1"));
        assert!(first.is_some());
        assert_eq!(first, of(None, client("2001:db8::2")));
        assert_ne!(first, of(None, client("2001:db8:0:1::1")));
        assert_eq!(of(None, None), None);
    }
}
