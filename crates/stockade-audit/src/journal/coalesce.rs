//! Coalesces floods of refusals into few records.

use std::{
    collections::HashMap,
    hash::{Hash, Hasher},
};

use foldhash::quality::RandomState;
use stockade_core::{
    client::{ClientBucket, ClientIp},
    clock::Timestamp,
    identity::Principal,
};

use crate::line::{Level, Line, field, text_field};

/// The maximum number of records of refused requests per second. Further refusals are
/// counted, and one record per client, principal and kind of refusal contains their number.
///
/// IPv6 clients of one /64 network are one client. This bounds the bytes that a flood
/// writes: a second has at most `total` records of single requests without an authenticated
/// principal, `total` of requests with one, and as many with counts. A flood of anonymous
/// requests does not reduce the records of principals.
///
/// ```
/// use stockade_audit::{Coalesce, Journal, Overflow, TracingSink};
///
/// let journal = Journal::builder(TracingSink, Overflow::DropAndCount)
///     .coalesce(Some(Coalesce::per_second(10, 1_000)))
///     .start()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coalesce {
    per_client: u32,
    total: u32,
}

impl Coalesce {
    /// At most `per_client` records per client, principal and kind of refusal, and `total`
    /// records in total.
    pub fn per_second(per_client: u32, total: u32) -> Self {
        Self { per_client, total }
    }
}

impl Default for Coalesce {
    /// 10 per client and kind, 1,000 in total.
    fn default() -> Self {
        Self::per_second(10, 1_000)
    }
}

/// The prefix length by which IPv6 clients are distinguished.
const V6_NETWORK: u8 = 64;

/// The properties by which refusals are coalesced.
#[derive(Clone, Debug)]
pub(crate) struct RefusalKey {
    client: Option<ClientBucket>,
    user: Option<Principal>,
    status: Option<u16>,
    reason: &'static str,
}

impl RefusalKey {
    pub(crate) fn new(
        client: Option<ClientIp>,
        user: Option<&Principal>,
        status: Option<u16>,
        reason: &'static str,
    ) -> Self {
        Self {
            client: client.map(|client| client.bucket(V6_NETWORK)),
            user: user.cloned(),
            status,
            reason,
        }
    }

    fn parts(
        &self,
    ) -> (
        Option<ClientBucket>,
        Option<&str>,
        Option<u16>,
        &'static str,
    ) {
        let user = self.user.as_ref().map(Principal::id);
        (self.client, user, self.status, self.reason)
    }

    /// Appends the fields of the refusal.
    fn describe(&self, line: &mut Line) {
        match self.client {
            Some(ClientBucket::Ip(network)) => line.display(text_field!("ip"), network),
            Some(ClientBucket::UnixSocket) => line.literal(text_field!("ip"), "unix"),
            None => line.null(field!("ip")),
        }
        match &self.user {
            Some(user) => line.identifier(text_field!("user"), user.id(), 128),
            None => line.null(field!("user")),
        }
        if let Some(status) = self.status {
            line.number(field!("status"), status.into());
        }
        if !self.reason.is_empty() {
            line.identifier(text_field!("reason"), self.reason, 128);
        }
    }
}

impl PartialEq for RefusalKey {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for RefusalKey {}

impl Hash for RefusalKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

/// A group of coalesced refusals.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum CoalesceKey {
    /// Refusals with the same key.
    Refusal(RefusalKey),
    /// All refusals beyond the total limit of a second.
    Others { authenticated: bool },
}

impl CoalesceKey {
    /// Returns the record of this number of refusals.
    pub(super) fn line(&self, now: Timestamp, times: u64) -> Line {
        let mut line = Line::new(now, Level::Warn, "requests refused");
        line.literal(text_field!("event"), "repeated");
        match self {
            Self::Refusal(key) => key.describe(&mut line),
            Self::Others { authenticated } => {
                line.null(field!("ip"));
                line.null(field!("user"));
                line.raw(field!("authenticated"));
                line.raw(if *authenticated { "true" } else { "false" });
            }
        }
        line.number(field!("repeated"), times);
        line
    }
}

/// Counts the refusals of one second.
pub(super) struct Coalescer {
    limit: Option<Coalesce>,
    second: u64,
    anonymous: SecondCounts,
    authenticated: SecondCounts,
    /// The number of coalesced refusals by group; bounded by the entries of the counts above.
    repeated: Counts<CoalesceKey, u64>,
}

/// The records of one second.
#[derive(Default)]
struct SecondCounts {
    records: u32,
    keys: Counts<RefusalKey, u32>,
}

/// Hashed with a random key, so that clients cannot cause collisions.
type Counts<K, N> = HashMap<K, N, RandomState>;

impl Coalescer {
    pub(super) fn new(limit: Option<Coalesce>) -> Self {
        Self {
            limit,
            second: 0,
            anonymous: SecondCounts::default(),
            authenticated: SecondCounts::default(),
            repeated: Counts::default(),
        }
    }

    /// Returns whether to write a record, within the second of the last call of
    /// [`finished`](Self::finished); counts the refusal if not.
    pub(super) fn admit(&mut self, key: RefusalKey) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let authenticated = key.user.is_some();
        let written = match authenticated {
            true => &mut self.authenticated,
            false => &mut self.anonymous,
        };
        let repeated = match written.count(&key, limit) {
            Count::Recorded => return true,
            Count::Coalesced => CoalesceKey::Refusal(key),
            Count::OverLimit => CoalesceKey::Others { authenticated },
        };
        *self.repeated.entry(repeated).or_default() += 1;
        false
    }

    /// If the second has ended, returns its counts and starts a new one.
    pub(super) fn finished(&mut self, now: Timestamp) -> Counts<CoalesceKey, u64> {
        if now.as_secs() == self.second {
            return Counts::default();
        }
        self.second = now.as_secs();
        self.anonymous.clear();
        self.authenticated.clear();
        self.so_far()
    }

    /// Returns the counts that are not written yet.
    pub(super) fn so_far(&mut self) -> Counts<CoalesceKey, u64> {
        std::mem::take(&mut self.repeated)
    }

    pub(super) fn has_counts(&self) -> bool {
        !self.repeated.is_empty()
    }
}

enum Count {
    Recorded,
    Coalesced,
    OverLimit,
}

impl SecondCounts {
    fn count(&mut self, key: &RefusalKey, limit: Coalesce) -> Count {
        let has_room = self.records < limit.total;
        let times = match self.keys.get_mut(key) {
            Some(times) => times,
            // Only recorded refusals add an entry, so there are at most `total` entries.
            None if has_room => self.keys.entry(key.clone()).or_default(),
            None => return Count::OverLimit,
        };
        if *times < limit.per_client && has_room {
            *times += 1;
            self.records += 1;
            Count::Recorded
        } else {
            Count::Coalesced
        }
    }

    fn clear(&mut self) {
        self.records = 0;
        self.keys.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    fn key(client: u32) -> RefusalKey {
        let client = ClientIp::Ip(IpAddr::V4(Ipv4Addr::from_bits(client)));
        RefusalKey::new(Some(client), None, Some(401), "unknown_key")
    }

    fn by(user: &str) -> RefusalKey {
        let client = ClientIp::Ip(IpAddr::V4(Ipv4Addr::from_bits(1)));
        let user = Principal::builder(user).build();
        RefusalKey::new(Some(client), Some(&user), Some(429), "limit")
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    // L06
    #[test]
    fn counts_repeated_refusals_of_one_client() {
        let mut coalescer = Coalescer::new(Some(Coalesce::per_second(3, 100)));
        coalescer.finished(at(1));
        let written = (0..50).filter(|_| coalescer.admit(key(1))).count();
        assert_eq!(written, 3);
        assert!(coalescer.admit(key(2)), "another client is recorded");
        assert_eq!(
            coalescer.finished(at(1)).len(),
            0,
            "the second has not ended"
        );
        let finished: Vec<_> = coalescer.finished(at(2)).into_iter().collect();
        assert_eq!(finished, [(CoalesceKey::Refusal(key(1)), 47)]);
        assert!(coalescer.admit(key(1)), "a new second");
    }

    // L06
    #[test]
    fn bounds_a_flood_from_many_clients() {
        let mut coalescer = Coalescer::new(Some(Coalesce::per_second(3, 100)));
        coalescer.finished(at(1));
        let written = (0..100_000)
            .filter(|client| coalescer.admit(key(*client)))
            .count();
        assert_eq!(written, 100);
        assert!(coalescer.anonymous.keys.len() <= 100);
        let finished: Vec<_> = coalescer.finished(at(2)).into_iter().collect();
        let others = CoalesceKey::Others {
            authenticated: false,
        };
        assert_eq!(finished, [(others, 99_900)]);
    }

    // FA08
    #[test]
    fn anonymous_flood_does_not_coalesce_records_of_principals() {
        let mut coalescer = Coalescer::new(Some(Coalesce::per_second(3, 100)));
        coalescer.finished(at(1));
        for client in 0..1_000 {
            coalescer.admit(key(client));
        }
        let client = ClientIp::Ip(IpAddr::V4(Ipv4Addr::from_bits(1)));
        let anonymous = RefusalKey::new(Some(client), None, Some(429), "limit");
        assert!(!coalescer.admit(anonymous), "anonymous, like the others");
        assert_eq!((0..5).filter(|_| coalescer.admit(by("alice"))).count(), 3);
        assert!(coalescer.admit(by("bob")), "another user");
        let finished = coalescer.finished(at(2));
        assert_eq!(finished[&CoalesceKey::Refusal(by("alice"))], 2);
        let others = CoalesceKey::Others {
            authenticated: false,
        };
        assert_eq!(finished[&others], 901);
        assert_eq!(finished.len(), 2);
    }

    // FA08
    #[test]
    fn bounds_a_flood_of_principals_separately() {
        let mut coalescer = Coalescer::new(Some(Coalesce::per_second(3, 100)));
        coalescer.finished(at(1));
        let users = (0..1_000).map(|user| by(&user.to_string()));
        assert_eq!(
            users.filter(|user| coalescer.admit(user.clone())).count(),
            100
        );
        assert!(
            coalescer.admit(key(1)),
            "anonymous clients have their own limit"
        );
        let finished: Vec<_> = coalescer.finished(at(2)).into_iter().collect();
        let others = CoalesceKey::Others {
            authenticated: true,
        };
        assert_eq!(finished, [(others, 900)]);
    }

    #[test]
    fn treats_an_ipv6_network_as_one_client() {
        let client = |last| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
            RefusalKey::new(Some(ClientIp::Ip(address.into())), None, Some(401), "x")
        };
        assert_eq!(client(1), client(2));
    }

    #[test]
    fn records_all_refusals_without_a_limit() {
        let mut coalescer = Coalescer::new(None);
        assert!((0..1_000).all(|_| coalescer.admit(key(1))));
    }
}
