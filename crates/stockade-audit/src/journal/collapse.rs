//! A flood of refusals leaves a trickle of records.

use std::collections::HashMap;

use foldhash::quality::RandomState;
use stockade_core::{ClientBucket, ClientIp, Timestamp};

use crate::line::{Level, Line, field};

/// How many records of refused requests are written in a second; the rest is counted, and
/// one record a client and kind of refusal says how many there were.
///
/// IPv6 clients of one /64 network are one client. The bytes that a flood writes are
/// bounded by this: a second has at most `in_all` records of single requests, and as many
/// that say how often the rest were repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collapse {
    per_client: u32,
    in_all: u32,
}

impl Collapse {
    /// So many a client and kind of refusal, and so many in all.
    pub fn per_second(per_client: u32, in_all: u32) -> Self {
        Self { per_client, in_all }
    }
}

impl Default for Collapse {
    /// 10 a client and kind, 1,000 in all.
    fn default() -> Self {
        Self::per_second(10, 1_000)
    }
}

/// IPv6 clients of one network are one client.
const V6_NETWORK: u8 = 64;

/// Refusals that are the same when they come again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Offence {
    client: Option<ClientBucket>,
    status: Option<u16>,
    reason: &'static str,
}

impl Offence {
    pub(crate) fn new(client: Option<ClientIp>, status: Option<u16>, reason: &'static str) -> Self {
        Self {
            client: client.map(|client| client.bucket(V6_NETWORK)),
            status,
            reason,
        }
    }

    /// Refusals of clients that came after there were too many.
    const OTHERS: Self = Self {
        client: None,
        status: None,
        reason: "",
    };

    /// The record of so many refusals.
    pub(super) fn line(self, now: Timestamp, times: u64) -> Line {
        let mut line = Line::new(now, Level::Warn, "requests refused");
        line.word(field!("event"), "repeated");
        match self.client {
            Some(ClientBucket::Ip(network)) => line.shown(field!("ip"), network),
            Some(ClientBucket::UnixSocket) => line.word(field!("ip"), "unix"),
            None => line.null(field!("ip")),
        }
        if let Some(status) = self.status {
            line.number(field!("status"), status.into());
        }
        if !self.reason.is_empty() {
            line.text(field!("reason"), self.reason, 128);
        }
        line.number(field!("repeated"), times);
        line
    }
}

/// The offences of one second.
pub(super) struct Repeats {
    limit: Option<Collapse>,
    second: u64,
    written: u32,
    offences: ByOffence<u32>,
    /// Those that were not written, each at most once here for each entry above.
    repeated: ByOffence<u64>,
}

/// Hashed under a key of this process, so that nobody can send what falls together.
type ByOffence<T> = HashMap<Offence, T, RandomState>;

impl Repeats {
    pub(super) fn new(limit: Option<Collapse>) -> Self {
        Self {
            limit,
            second: 0,
            written: 0,
            offences: HashMap::default(),
            repeated: HashMap::default(),
        }
    }

    /// Whether the offence is to be written, in the second that [`finished`](Self::finished)
    /// was last asked about.
    pub(super) fn admits(&mut self, offence: Offence) -> bool {
        let Some(limit) = self.limit else {
            return true;
        };
        let times = match self.offences.get_mut(&offence) {
            Some(times) => times,
            // Only what is written makes an entry, so there are at most `in_all` of them.
            None if self.written < limit.in_all => self.offences.entry(offence).or_default(),
            None => {
                *self.repeated.entry(Offence::OTHERS).or_default() += 1;
                return false;
            }
        };
        if *times < limit.per_client && self.written < limit.in_all {
            *times += 1;
            self.written += 1;
            return true;
        }
        *self.repeated.entry(offence).or_default() += 1;
        false
    }

    /// What was collapsed in a second that is over, and begins a new one.
    pub(super) fn finished(&mut self, now: Timestamp) -> ByOffence<u64> {
        if now.as_secs() == self.second {
            return HashMap::default();
        }
        self.second = now.as_secs();
        self.written = 0;
        self.offences.clear();
        self.so_far()
    }

    /// What was collapsed and not told yet.
    pub(super) fn so_far(&mut self) -> ByOffence<u64> {
        std::mem::take(&mut self.repeated)
    }

    pub(super) fn any(&self) -> bool {
        !self.repeated.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::*;

    fn offence(client: u32) -> Offence {
        let client = ClientIp::Ip(IpAddr::V4(Ipv4Addr::from_bits(client)));
        Offence::new(Some(client), Some(401), "unknown_key")
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    // L06
    #[test]
    fn counts_what_one_client_repeats() {
        let mut repeats = Repeats::new(Some(Collapse::per_second(3, 100)));
        repeats.finished(at(1));
        let written = (0..50).filter(|_| repeats.admits(offence(1))).count();
        assert_eq!(written, 3);
        assert!(repeats.admits(offence(2)), "another client is heard");
        assert_eq!(repeats.finished(at(1)).len(), 0, "the second is not over");
        let finished: Vec<_> = repeats.finished(at(2)).into_iter().collect();
        assert_eq!(finished, [(offence(1), 47)]);
        assert!(repeats.admits(offence(1)), "a new second");
    }

    // L06
    #[test]
    fn a_flood_from_everywhere_is_bounded() {
        let mut repeats = Repeats::new(Some(Collapse::per_second(3, 100)));
        repeats.finished(at(1));
        let written = (0..100_000)
            .filter(|client| repeats.admits(offence(*client)))
            .count();
        assert_eq!(written, 100);
        assert!(repeats.offences.len() <= 100);
        let finished: Vec<_> = repeats.finished(at(2)).into_iter().collect();
        assert_eq!(finished, [(Offence::OTHERS, 99_900)]);
    }

    #[test]
    fn a_network_is_one_client() {
        let client = |last| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
            Offence::new(Some(ClientIp::Ip(address.into())), Some(401), "x")
        };
        assert_eq!(client(1), client(2));
    }

    #[test]
    fn without_a_limit_all_are_written() {
        let mut repeats = Repeats::new(None);
        assert!((0..1_000).all(|_| repeats.admits(offence(1))));
    }
}
