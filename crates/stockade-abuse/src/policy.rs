//! When somebody is banned, and for how long.

use std::{collections::BTreeMap, time::Duration};

use stockade_core::client::{ClientIp, IpPrefix};

use crate::{Offender, ScannerPaths, Signal};

/// How banned clients are answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BanResponse {
    /// 403; with `Retry-After` where the ban ends.
    #[default]
    Forbidden,
    /// 429; with `Retry-After`, which is a day where the ban does not end.
    TooManyRequests,
}

/// When somebody is banned, and for how long. By default as it is usual: five offences in
/// thirty seconds, ten minutes, and twice as long each time.
#[derive(Clone, Debug)]
pub struct AbusePolicy {
    pub(crate) threshold: u32,
    pub(crate) window: Duration,
    pub(crate) ban: Option<Duration>,
    pub(crate) longest_ban: Duration,
    pub(crate) forgiveness: Duration,
    pub(crate) weights: BTreeMap<Signal, u32>,
    pub(crate) scanner_paths: ScannerPaths,
    pub(crate) response: BanResponse,
    pub(crate) v6_length: u8,
    pub(crate) exempt: Vec<IpPrefix>,
    pub(crate) exempt_keys: Vec<Box<str>>,
    pub(crate) loopback_exempt: bool,
    pub(crate) report_only: bool,
    pub(crate) aggregate: Option<u32>,
    pub(crate) ban_principals: bool,
}

impl AbusePolicy {
    /// The highest threshold. An offender's offences are remembered one by one, so it also
    /// bounds the memory of one offender: 64 bytes and 16 for each point.
    pub const MAX_THRESHOLD: u32 = 100;

    /// The default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bans who gathers this many points within the window; 5 in 30 s by default. At
    /// least 1, at most [`MAX_THRESHOLD`](Self::MAX_THRESHOLD).
    pub fn threshold(mut self, points: u32, window: Duration) -> Self {
        self.threshold = points.clamp(1, Self::MAX_THRESHOLD);
        self.window = window;
        self
    }

    /// How long the first ban lasts, and the longest one: each ban is twice as long as the
    /// one before it, and up to a tenth longer or shorter, so that clients that were banned
    /// together do not come back together. 10 minutes and 24 hours by default.
    pub fn ban(mut self, first: Duration, longest: Duration) -> Self {
        self.ban = Some(first);
        self.longest_ban = longest.max(first);
        self
    }

    /// Bans for good, until somebody ends it.
    pub fn permanent_bans(mut self) -> Self {
        self.ban = None;
        self
    }

    /// After this long without an offence, the next ban is a first one again; 24 hours by
    /// default.
    pub fn forgiveness(mut self, after: Duration) -> Self {
        self.forgiveness = after;
        self
    }

    /// How many points a signal is; 0 for none.
    ///
    /// By default bad and malformed credentials and the paths of scanners are 1. All else is
    /// 0, because clients that mean well do it, too: a missing credential, an unknown route,
    /// an unsupported option, an image of another format, a body that is too large, a limit
    /// that is reached.
    ///
    /// `weight(Signal::InvalidImage, 1)` bans those who send broken images again and again.
    pub fn weight(mut self, signal: Signal, points: u32) -> Self {
        self.weights.insert(signal, points);
        self
    }

    /// Whether principals are banned for their own offences; they are not by default,
    /// because a mistake in one program would lock out all users of its key. Where they are
    /// not, requests with a valid credential do not count.
    ///
    /// Principals that are banned by hand, or in a deny-list, are refused in any case.
    pub fn ban_principals(mut self, ban: bool) -> Self {
        self.ban_principals = ban;
        self
    }

    /// Which paths only scanners ask for.
    pub fn scanner_paths(mut self, paths: ScannerPaths) -> Self {
        self.scanner_paths = paths;
        self
    }

    /// How banned clients are answered.
    pub fn response(mut self, response: BanResponse) -> Self {
        self.response = response;
        self
    }

    /// The prefix that IPv6 clients are banned by; 64 bits by default.
    pub fn v6_length(mut self, bits: u8) -> Self {
        self.v6_length = bits.min(128);
        self
    }

    /// Networks that are never banned: one's own, and those of trusted proxies, since a ban
    /// of a proxy would lock out all who come through it.
    pub fn exempt(mut self, networks: impl IntoIterator<Item = IpPrefix>) -> Self {
        self.exempt.extend(networks);
        self
    }

    /// Principals that are never banned.
    pub fn exempt_keys<K>(mut self, ids: impl IntoIterator<Item = K>) -> Self
    where
        K: Into<Box<str>>,
    {
        self.exempt_keys.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Whether clients on the same machine are never banned; they are not by default.
    pub fn loopback_exempt(mut self, exempt: bool) -> Self {
        self.loopback_exempt = exempt;
        self
    }

    /// Says who would be banned, and bans nobody.
    pub fn report_only(mut self, report_only: bool) -> Self {
        self.report_only = report_only;
        self
    }

    /// When this many neighbours are banned, their whole network is: a `/24` for IPv4, a
    /// `/48` for IPv6. `None`, the default, for never: a network may be a provider's.
    pub fn aggregate(mut self, neighbours: Option<u32>) -> Self {
        self.aggregate = neighbours;
        self
    }

    /// The points of a signal.
    pub(crate) fn points(&self, signal: Signal) -> u32 {
        self.weights.get(&signal).copied().unwrap_or(0)
    }

    pub(crate) fn is_exempt(&self, offender: &Offender) -> bool {
        match offender {
            Offender::Principal(id) => self.exempt_keys.iter().any(|exempt| **exempt == **id),
            Offender::Network(network) => {
                let first = network.address();
                (self.loopback_exempt && first.is_loopback())
                    // A client's prefix may be wider than the network that is exempt.
                    || self.exempt.iter().any(|exempt| {
                        exempt.contains(first) || network.contains(exempt.address())
                    })
            }
        }
    }

    pub(crate) fn exempts_client(&self, client: ClientIp) -> bool {
        match client {
            ClientIp::Ip(address) => {
                (self.loopback_exempt && address.is_loopback())
                    || self.exempt.iter().any(|exempt| exempt.contains(address))
            }
            ClientIp::UnixSocket => true,
        }
    }

    /// How long a ban is, after so many before it. `jitter` is any number.
    pub(crate) fn ban_length(&self, bans_before: u32, jitter: u64) -> Option<Duration> {
        let first = self.ban?;
        let doubled = first.saturating_mul(1_u32.checked_shl(bans_before).unwrap_or(u32::MAX));
        let length = doubled.min(self.longest_ban);
        // Between 0.9 and 1.1 of it.
        let thousandths = 900 + (jitter % 201) as u32;
        Some(length.saturating_mul(thousandths) / 1_000)
    }
}

impl Default for AbusePolicy {
    fn default() -> Self {
        let weights = [
            (Signal::BadCredential, 1),
            (Signal::MalformedCredential, 1),
            (Signal::ScannerPath, 1),
        ];
        Self {
            threshold: 5,
            window: Duration::from_secs(30),
            ban: Some(Duration::from_secs(10 * 60)),
            longest_ban: Duration::from_secs(24 * 3_600),
            forgiveness: Duration::from_secs(24 * 3_600),
            weights: weights.into(),
            scanner_paths: ScannerPaths::default(),
            response: BanResponse::default(),
            v6_length: 64,
            exempt: Vec::new(),
            exempt_keys: Vec::new(),
            loopback_exempt: true,
            report_only: false,
            aggregate: None,
            ban_principals: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_double_up_to_the_longest() {
        let policy = AbusePolicy::new();
        let minutes = |before| policy.ban_length(before, 100).unwrap().as_secs() / 60;
        assert_eq!([0, 1, 2, 3].map(minutes), [10, 20, 40, 80]);
        assert_eq!(
            [7, 8, 31, 32, 1_000].map(minutes),
            [1_280, 1_440, 1_440, 1_440, 1_440]
        );
        for jitter in [0, 1, 200, 201, u64::MAX] {
            let length = policy.ban_length(0, jitter).unwrap().as_secs();
            assert!((540..=660).contains(&length), "{length}");
        }
        assert_eq!(policy.permanent_bans().ban_length(0, 0), None);
    }
}
