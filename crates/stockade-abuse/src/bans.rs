//! The set of bans in memory.

use std::{
    collections::{HashMap, HashSet},
    hash::Hash,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use stockade_core::{client::IpPrefix, clock::Timestamp};

use crate::{Ban, Offender, table::Table};

/// The active bans, by offender.
///
/// A client is looked up once per prefix length in use, usually one or two.
pub(crate) struct Bans {
    table: Table<Ban>,
    lengths: ArcSwap<Lengths>,
    counts: Mutex<Counts>,
}

/// The prefix lengths of the bans.
#[derive(Default)]
struct Lengths {
    v4: Vec<u8>,
    v6: Vec<u8>,
}

#[derive(Default)]
struct Counts {
    lengths: HashMap<(bool, u8), u32>,
    /// The number of bans in each network that could be banned as a whole.
    neighbours: HashMap<IpPrefix, u32>,
}

impl Bans {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            table: Table::new(capacity),
            lengths: ArcSwap::default(),
            counts: Mutex::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the ban of a network that contains the address.
    pub(crate) fn find_by_address(
        &self,
        address: IpAddr,
        now: impl Fn() -> Timestamp,
    ) -> Option<Ban> {
        let address = address.to_canonical();
        let lengths = self.lengths.load();
        let lengths = match address {
            IpAddr::V4(_) => &lengths.v4,
            IpAddr::V6(_) => &lengths.v6,
        };
        lengths.iter().find_map(|length| {
            let network = IpPrefix::new(address, *length).ok()?;
            self.get(&Offender::Network(network), &now)
        })
    }

    /// Returns the ban of exactly this offender.
    pub(crate) fn get(&self, offender: &Offender, now: impl Fn() -> Timestamp) -> Option<Ban> {
        let found = |ban: &Ban| ban.is_active(now()).then(|| ban.clone());
        self.table.read(offender, found).flatten()
    }

    /// Adds or updates a ban; `false` if it was already known.
    pub(crate) fn insert(&self, ban: &Ban, now: Timestamp) -> bool {
        let mut is_new = false;
        let (changed, removed) = self.table.change(
            &ban.offender,
            || {
                is_new = true;
                ban.clone()
            },
            |known| {
                let changed = known.until != ban.until || !known.is_active(now);
                if changed {
                    known.clone_from(ban);
                }
                changed
            },
            // If the table is full, the ban that ends first is removed.
            |known| {
                let end = known.until.unwrap_or(Timestamp::from_nanos(u64::MAX));
                known.is_active(now).then_some(end)
            },
        );
        if is_new {
            self.count(&ban.offender, true);
        }
        for (offender, _) in removed {
            self.count(&offender, false);
        }
        is_new || changed
    }

    pub(crate) fn remove(&self, offender: &Offender) -> Option<Ban> {
        let removed = self.table.remove(offender)?;
        self.count(offender, false);
        Some(removed)
    }

    /// Returns all active bans.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<Ban> {
        let mut all = Vec::new();
        self.table.for_each(|_, ban| {
            if ban.is_active(now) {
                all.push(ban.clone());
            }
        });
        all
    }

    /// Removes the bans that are missing in `read`, except those made after `read_at`.
    pub(crate) fn remove_missing(&self, read: &[Ban], read_at: Timestamp) -> Vec<Offender> {
        let present: HashSet<_> = read.iter().map(|ban| &ban.offender).collect();
        self.remove_where(|offender, ban| ban.since < read_at && !present.contains(offender))
    }

    /// Returns the enclosing network if at least `limit` bans are in it.
    pub(crate) fn crowded_network(&self, offender: &Offender, limit: u32) -> Option<IpPrefix> {
        let network = enclosing_network(offender)?;
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        (*counts.neighbours.get(&network)? >= limit).then_some(network)
    }

    /// Removes the bans of narrower networks within this one.
    pub(crate) fn remove_within(&self, network: IpPrefix) -> Vec<Offender> {
        self.remove_where(|offender, _| match offender {
            Offender::Network(inner) => {
                inner.length() > network.length() && network.contains(inner.address())
            }
            Offender::Principal(_) => false,
        })
    }

    fn remove_where(&self, matches: impl Fn(&Offender, &Ban) -> bool) -> Vec<Offender> {
        let removed = self.table.remove_where(matches).into_iter();
        removed
            .map(|(offender, _)| {
                self.count(&offender, false);
                offender
            })
            .collect()
    }

    fn count(&self, offender: &Offender, added: bool) {
        let Offender::Network(network) = offender else {
            return;
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(enclosing) = enclosing_network(offender) {
            adjust(&mut counts.neighbours, enclosing, added);
        }
        let key = (network.address().is_ipv4(), network.length());
        let before = counts.lengths.len();
        adjust(&mut counts.lengths, key, added);
        if counts.lengths.len() != before {
            let of = |v4| {
                let keys = counts.lengths.keys().filter(|(is_v4, _)| *is_v4 == v4);
                keys.map(|(_, length)| *length).collect()
            };
            self.lengths.store(Arc::new(Lengths {
                v4: of(true),
                v6: of(false),
            }));
        }
    }
}

/// Returns the network that may be banned instead of many of its parts.
fn enclosing_network(offender: &Offender) -> Option<IpPrefix> {
    let Offender::Network(network) = offender else {
        return None;
    };
    let length = match network.address() {
        IpAddr::V4(_) => 24,
        IpAddr::V6(_) => 48,
    };
    if network.length() <= length {
        return None;
    }
    IpPrefix::new(network.address(), length).ok()
}

fn adjust<K>(counts: &mut HashMap<K, u32>, key: K, up: bool)
where
    K: Hash + Eq,
{
    let count = counts.get(&key).copied().unwrap_or(0);
    match if up {
        count + 1
    } else {
        count.saturating_sub(1)
    } {
        0 => counts.remove(&key),
        count => counts.insert(key, count),
    };
}
