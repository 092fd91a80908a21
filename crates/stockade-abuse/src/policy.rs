//! The policy: thresholds, durations and exemptions of bans.

use std::{collections::BTreeMap, time::Duration};

use stockade_core::client::{ClientIp, IpPrefix};

use crate::{Offender, ScannerPaths, Signal};

/// The response to banned clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BanResponse {
    /// 403, with `Retry-After` if the ban ends.
    #[default]
    Forbidden,
    /// 429, with `Retry-After`, which is one day for a permanent ban.
    TooManyRequests,
}

/// The policy of bans. The default bans after five offences in thirty seconds, for ten
/// minutes, and doubles the duration each time.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_abuse::{AbusePolicy, Signal};
///
/// let policy = AbusePolicy::new()
///     .threshold(10, Duration::from_secs(60))
///     .ban(Duration::from_secs(60), Duration::from_secs(86_400))
///     .weight(Signal::NotFound, 1)
///     .exempt(["192.0.2.0/24".parse()?])
///     .report_only(true);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    /// The maximum threshold. It also bounds the memory of one offender, whose offences are
    /// stored individually: 64 bytes, and 16 per point.
    pub const MAX_THRESHOLD: u32 = 100;

    /// Returns the default policy.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the points within a window that lead to a ban; 5 in 30 s by default. Clamped to 1
    /// to [`MAX_THRESHOLD`](Self::MAX_THRESHOLD).
    pub fn threshold(mut self, points: u32, window: Duration) -> Self {
        self.threshold = points.clamp(1, Self::MAX_THRESHOLD);
        self.window = window;
        self
    }

    /// Sets the duration of the first ban, and the maximum; 10 minutes and 24 hours by default.
    /// Each ban is twice as long as the previous one, with a jitter of ±10 %, so that clients
    /// that were banned together do not return together.
    pub fn ban(mut self, first: Duration, longest: Duration) -> Self {
        self.ban = Some(first);
        self.longest_ban = longest.max(first);
        self
    }

    /// Makes bans permanent, until they are lifted.
    pub fn permanent_bans(mut self) -> Self {
        self.ban = None;
        self
    }

    /// Sets the time without offences after which the next ban has the initial duration again;
    /// 24 hours by default.
    pub fn forgiveness(mut self, after: Duration) -> Self {
        self.forgiveness = after;
        self
    }

    /// Sets the points of a signal; 0 disables it.
    ///
    /// By default, bad and malformed credentials and scanner paths have 1 point. All others have
    /// 0, because legitimate clients cause them, too: a missing credential, an unknown route, an
    /// unsupported option or image format, a body that is too large, an exceeded limit.
    ///
    /// `weight(Signal::InvalidImage, 1)` bans clients that repeatedly send broken images.
    pub fn weight(mut self, signal: Signal, points: u32) -> Self {
        self.weights.insert(signal, points);
        self
    }

    /// Sets whether principals are banned for their offences; `false` by default, because a
    /// bug in one program would lock out all users of its key. If `false`, requests with a valid
    /// credential are not counted.
    ///
    /// Principals banned by an operator or a deny-list are always refused.
    pub fn ban_principals(mut self, ban: bool) -> Self {
        self.ban_principals = ban;
        self
    }

    /// Sets the paths that only scanners request.
    pub fn scanner_paths(mut self, paths: ScannerPaths) -> Self {
        self.scanner_paths = paths;
        self
    }

    /// Sets the response to banned clients.
    pub fn response(mut self, response: BanResponse) -> Self {
        self.response = response;
        self
    }

    /// Sets the prefix length by which IPv6 clients are banned; 64 bits by default.
    pub fn v6_length(mut self, bits: u8) -> Self {
        self.v6_length = bits.min(128);
        self
    }

    /// Adds networks that are never banned, such as internal networks and trusted proxies: a
    /// ban of a proxy would lock out all of its clients.
    pub fn exempt(mut self, networks: impl IntoIterator<Item = IpPrefix>) -> Self {
        self.exempt.extend(networks);
        self
    }

    /// Adds principals that are never banned.
    pub fn exempt_keys<K>(mut self, ids: impl IntoIterator<Item = K>) -> Self
    where
        K: Into<Box<str>>,
    {
        self.exempt_keys.extend(ids.into_iter().map(Into::into));
        self
    }

    /// Sets whether loopback clients are exempt; `true` by default.
    pub fn loopback_exempt(mut self, exempt: bool) -> Self {
        self.loopback_exempt = exempt;
        self
    }

    /// Sets report-only mode: bans are reported but not enforced.
    pub fn report_only(mut self, report_only: bool) -> Self {
        self.report_only = report_only;
        self
    }

    /// Sets how many banned networks within a `/24` (IPv4) or `/48` (IPv6) lead to a ban of the
    /// whole network. `None`, the default, disables it, because an internet provider may own
    /// the network.
    pub fn aggregate(mut self, neighbours: Option<u32>) -> Self {
        self.aggregate = neighbours;
        self
    }

    /// Returns the points of a signal.
    pub(crate) fn points(&self, signal: Signal) -> u32 {
        self.weights.get(&signal).copied().unwrap_or(0)
    }

    pub(crate) fn is_exempt(&self, offender: &Offender) -> bool {
        match offender {
            Offender::Principal(id) => self.exempt_keys.iter().any(|exempt| **exempt == **id),
            Offender::Network(network) => {
                let first = network.address();
                (self.loopback_exempt && first.is_loopback())
                    // The prefix of a client may be wider than the exempt network.
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

    /// Returns the duration of a ban after `bans_before` others. `jitter` is any number.
    pub(crate) fn ban_length(&self, bans_before: u32, jitter: u64) -> Option<Duration> {
        let first = self.ban?;
        let doubled = first.saturating_mul(1_u32.checked_shl(bans_before).unwrap_or(u32::MAX));
        let length = doubled.min(self.longest_ban);
        // Between 0.9 and 1.1 times the duration.
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
