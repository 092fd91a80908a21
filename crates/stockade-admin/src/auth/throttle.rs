//! Delays after failed logins, by network and by user name. Pure: the time is a parameter.
//!
//! 1. After 5 failures of a network, its next attempt has to wait a second, then 2, 4, … up to
//!    15 minutes; up to 8 seconds for the clients of a Unix socket or without an address, because
//!    they are one network.
//! 2. After 10 failures for a user name from unknown networks, further attempts from such
//!    networks have to wait up to 8 seconds.
//! 3. Attempts of a user from a network where that user has logged in before are counted on their
//!    own, and wait up to 30 seconds. A flood from elsewhere cannot delay them.
//! 4. After 5 wrong one-time codes of a user, the next code has to wait up to 15 minutes. Only a
//!    client with the right password can cause this delay.
//!
//! An attempt counts as a failure until it succeeds, so parallel attempts cannot avoid a delay.
//! An attempt that is refused because of a delay is not counted. Failures are forgotten after an
//! hour.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest as _, Sha256};
use stockade_core::client::ClientBucket;

const FORGET_MS: i64 = 60 * 60 * 1000;
const MAX_ENTRIES: usize = 20_000;

/// The failures so far.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<Key, Failures>>);

/// A network; `None` is that of all clients with unknown addresses.
type Network = Option<ClientBucket>;
/// User names of attempts may be long, or passwords.
type NameDigest = [u8; 32];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Key {
    Network(Network),
    Name(NameDigest),
    Known(NameDigest, Network),
    Code(NameDigest),
}

#[derive(Clone, Copy, Debug)]
struct Failures {
    count: u32,
    last: i64,
}

/// An attempt that counts as a failure.
#[derive(Debug)]
pub(crate) struct Attempt(Vec<Key>);

impl Throttle {
    /// Counts an attempt at this time.
    ///
    /// # Errors
    /// Returns the time until the next attempt is accepted.
    pub(crate) fn begin(
        &self,
        now: i64,
        network: Network,
        name: &str,
        is_known: bool,
    ) -> Result<Attempt, Duration> {
        let name = Sha256::digest(name.as_bytes()).into();
        let keys = match is_known {
            true => vec![Key::Known(name, network)],
            false => vec![Key::Network(network), Key::Name(name)],
        };
        self.count(now, keys)
    }

    /// Counts a one-time code of this user, after the right password.
    ///
    /// # Errors
    /// Returns the time until the next code is accepted.
    pub(crate) fn begin_code(&self, now: i64, name: &str) -> Result<Attempt, Duration> {
        let name = Sha256::digest(name.as_bytes()).into();
        self.count(now, vec![Key::Code(name)])
    }

    fn count(&self, now: i64, keys: Vec<Key>) -> Result<Attempt, Duration> {
        let mut entries = self.entries();
        let waits = keys.iter().filter_map(|key| {
            let failures = entries.get(key)?;
            Some(failures.last + key.delay(failures.at(now)) - now)
        });
        if let Some(wait) = waits.max().and_then(|wait| u64::try_from(wait).ok())
            && wait > 0
        {
            return Err(Duration::from_millis(wait));
        }
        make_room(&mut entries, now, keys.len());
        for key in &keys {
            let failures = entries.entry(*key).or_insert(Failures {
                count: 0,
                last: now,
            });
            let count = failures.at(now).saturating_add(1);
            *failures = Failures { count, last: now };
        }
        Ok(Attempt(keys))
    }

    /// The attempt was no failure. Former failures of a network or a name still count: otherwise,
    /// an attacker with an account could erase failures.
    pub(crate) fn succeed(&self, attempt: &Attempt) {
        let mut entries = self.entries();
        for key in &attempt.0 {
            if matches!(key, Key::Known(..) | Key::Code(_)) {
                entries.remove(key);
            } else if let Some(failures) = entries.get_mut(key) {
                failures.count = failures.count.saturating_sub(1);
            }
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Key, Failures>> {
        // No code panics while the lock is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Key {
    /// The delay after this number of failures, in milliseconds.
    fn delay(&self, failures: u32) -> i64 {
        let (free, max) = match self {
            Self::Network(None | Some(ClientBucket::UnixSocket)) => (5, 8 * 1000),
            Self::Network(Some(ClientBucket::Ip(_))) | Self::Code(_) => (5, 15 * 60 * 1000),
            Self::Name(_) => (10, 8 * 1000),
            Self::Known(..) => (10, 30 * 1000),
        };
        match failures.checked_sub(free) {
            None => 0,
            Some(excess) => (1000_i64 << excess.min(20)).min(max),
        }
    }
}

impl Failures {
    fn at(self, now: i64) -> u32 {
        match now.saturating_sub(self.last) < FORGET_MS {
            true => self.count,
            false => 0,
        }
    }
}

/// Forgets old failures, then arbitrary ones: an attacker cannot choose them.
fn make_room(entries: &mut HashMap<Key, Failures>, now: i64, new: usize) {
    if entries.len() + new <= MAX_ENTRIES {
        return;
    }
    entries.retain(|_, failures| failures.at(now) > 0);
    let mut excess = (entries.len() + new).saturating_sub(MAX_ENTRIES);
    if excess > 0 {
        // In larger steps, because each walks all entries.
        excess = excess.max(MAX_ENTRIES / 16);
        entries.retain(|_, _| {
            let remove = excess > 0;
            excess = excess.saturating_sub(1);
            !remove
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use stockade_core::client::ClientIp;

    use super::*;

    fn network(number: u32) -> Network {
        let address = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number));
        Some(ClientIp::Ip(address).bucket(64))
    }

    #[test]
    fn delays_a_network_exponentially() {
        let throttle = Throttle::default();
        let begin = |now, name: &str| throttle.begin(now, network(1), name, false);
        for attempt in 0..5 {
            begin(0, &format!("user{attempt}")).unwrap();
        }
        assert_eq!(begin(0, "other").unwrap_err(), Duration::from_secs(1));
        let mut now = 1000;
        for seconds in [2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900] {
            begin(now, &format!("user{seconds}{now}")).unwrap();
            // Refused attempts do not extend the delay.
            for _ in 0..3 {
                let wait = begin(now, "other").unwrap_err();
                assert_eq!(wait, Duration::from_secs(seconds));
            }
            now += i64::try_from(seconds).unwrap() * 1000;
        }
        begin(now + FORGET_MS, "a").unwrap();
        begin(now + FORGET_MS, "b").unwrap();
    }

    #[test]
    fn delays_a_name_from_unknown_networks_only() {
        let throttle = Throttle::default();
        for attempt in 0..10 {
            throttle.begin(0, network(attempt), "admin", false).unwrap();
        }
        let mut now = 0;
        for attempt in 10..20 {
            let wait = throttle.begin(now, network(attempt), "admin", false);
            let wait = wait.unwrap_err();
            assert!(wait <= Duration::from_secs(8), "{wait:?}");
            throttle.begin(now, network(99), "admin", true).unwrap();
            throttle.succeed(&Attempt(vec![Key::Known(
                Sha256::digest(b"admin").into(),
                network(99),
            )]));
            now += i64::try_from(wait.as_millis()).unwrap();
            throttle
                .begin(now, network(attempt), "admin", false)
                .unwrap();
        }
        throttle.begin(now, network(1000), "other", false).unwrap();
    }

    #[test]
    fn clients_without_an_address_do_not_lock_each_other_out() {
        let throttle = Throttle::default();
        let mut now = 0;
        for attempt in 0..50 {
            let name = format!("user{attempt}");
            if let Err(wait) = throttle.begin(now, None, &name, false) {
                assert!(wait <= Duration::from_secs(8), "{wait:?}");
                now += 8000;
            }
        }
    }

    #[test]
    fn successes_do_not_erase_former_failures() {
        let throttle = Throttle::default();
        for attempt in 0..100 {
            let name = format!("user{attempt}");
            if throttle.begin(0, network(1), &name, false).is_err() {
                return;
            }
            let own = throttle.begin(0, network(1), "attacker", false);
            if let Ok(own) = own {
                throttle.succeed(&own);
            }
        }
        panic!("a network guessed 100 times");
    }

    #[test]
    fn the_table_is_bounded() {
        let throttle = Throttle::default();
        for number in 0..MAX_ENTRIES as u32 {
            let name = format!("user{number}");
            throttle.begin(0, network(number), &name, false).unwrap();
            assert!(throttle.entries().len() <= MAX_ENTRIES);
        }
        throttle.begin(FORGET_MS, network(0), "a", false).unwrap();
        assert!(throttle.entries().len() <= 2);
    }
}
