//! The detector: counts offences, holds bans and notifies listeners.

mod builder;
mod lookup;
mod report_only;
mod responsible;
mod stats;
mod stores;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{BuildHasher, RandomState},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use stockade_core::{
    client::ClientIp,
    clock::{Clock, Timestamp},
    identity::Principal,
};
use tracing::{error, warn};

use crate::{
    AbuseEvent, AbuseListener, AbusePolicy, Ban, BanChange, BanStore, Offender, Signal,
    SkippedLines,
    bans::Bans,
    history::{History, NewOffence},
    table::Table,
};

pub use builder::DetectorBuilder;
pub(crate) use lookup::BanMatch;
use report_only::ReportOnly;
use responsible::responsible;
pub use stats::AbuseStats;

/// Counts offences, and adds, finds and lifts bans. Clones share their state.
///
/// [`AbuseGuard`](crate::AbuseGuard) and [`PrincipalGuard`](crate::PrincipalGuard) look up
/// bans in it and report offences to it; applications can do so, too.
///
/// ```
/// use std::time::Duration;
///
/// use stockade_abuse::{AbusePolicy, Detector};
///
/// let detector = Detector::builder(AbusePolicy::new())
///     .on_event(|event| println!("{event:?}"))
///     .build();
/// detector.ban("203.0.113.7".parse()?, Some(Duration::from_secs(600)), "port scan");
/// assert_eq!(detector.bans().len(), 1);
/// assert!(detector.unban(&"203.0.113.7".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Detector(Arc<Inner>);

struct Inner {
    policy: ArcSwap<AbusePolicy>,
    clock: Arc<dyn Clock>,
    offenders: Table<History>,
    bans: Bans,
    stores: Vec<Arc<dyn BanStore>>,
    listeners: Vec<AbuseListener>,
    denied: AtomicU64,
    /// By index of the store.
    skipped: Mutex<BTreeMap<usize, Arc<SkippedLines>>>,
    /// The indices of the stores that failed and did not recover.
    failing: Mutex<BTreeSet<usize>>,
    report_only: ReportOnly,
    /// Set by the first ban; until then, a check only loads this.
    banned_once: AtomicBool,
    jitter: RandomState,
}

impl Detector {
    /// Creates a detector that keeps bans in memory only.
    pub fn new(policy: AbusePolicy) -> Self {
        Self::builder(policy).build()
    }

    /// Returns a builder for a detector with stores, listeners or other limits.
    pub fn builder(policy: AbusePolicy) -> DetectorBuilder {
        DetectorBuilder::new(policy)
    }

    /// Replaces the policy. Existing bans are not changed.
    pub fn set_policy(&self, policy: AbusePolicy) {
        self.0.policy.store(Arc::new(policy));
    }

    /// Returns the current policy.
    pub fn policy(&self) -> Arc<AbusePolicy> {
        self.0.policy.load_full()
    }

    /// Counts an offence of a client, or of the authenticated principal.
    ///
    /// The same `fingerprint` counts once within a window; see
    /// [`Refusal::with_fingerprint`](stockade_core::refusal::Refusal::with_fingerprint).
    pub fn report(
        &self,
        client: ClientIp,
        principal: Option<&Principal>,
        signal: Signal,
        fingerprint: Option<u64>,
    ) {
        self.report_with(client, principal, |_| Some((signal, fingerprint)));
    }

    /// Counts an offence and its fingerprint, as determined with the current policy.
    pub(crate) fn report_with(
        &self,
        client: ClientIp,
        principal: Option<&Principal>,
        offence: impl FnOnce(&AbusePolicy) -> Option<(Signal, Option<u64>)>,
    ) {
        let policy = self.0.policy.load();
        let Some((signal, fingerprint)) = offence(&policy) else {
            return;
        };
        let points = policy.points(signal);
        if points == 0 {
            return;
        }
        let Some(offender) = responsible(client, principal, &policy) else {
            return;
        };
        let at = self.0.clock.now();
        let fingerprint = fingerprint.or(match signal {
            // Repeated missing or malformed credentials are one offence: they guess nothing.
            Signal::MissingCredential => Some(u64::MAX),
            Signal::MalformedCredential => Some(u64::MAX << 33),
            _ => None,
        });
        let offence = NewOffence {
            at,
            points,
            fingerprint,
        };
        let (bans_before, _) = self.0.offenders.change(
            &offender,
            History::default,
            |history| history.record(offence, &policy),
            |history| {
                let over = history.is_expired(at, &policy);
                (!over).then(|| history.severity(at, policy.window))
            },
        );
        if let Some(bans_before) = bans_before {
            self.ban_offender(offender, bans_before, at, &policy);
        }
    }

    fn ban_offender(
        &self,
        offender: Offender,
        bans_before: u32,
        at: Timestamp,
        policy: &AbusePolicy,
    ) {
        let jitter = self.0.jitter.hash_one((at.as_nanos(), &offender));
        let reason = format!(
            "{} errors in {}s",
            policy.threshold,
            policy.window.as_secs()
        );
        let ban = Ban {
            offender,
            since: at,
            until: policy
                .ban_length(bans_before, jitter)
                .map(|length| at + length),
            reason: reason.into(),
        };
        if policy.report_only {
            self.0.report_only.bans.insert(&ban, at);
            self.0.banned_once.store(true, Ordering::Release);
            warn!(client = %ban.offender, reason = %ban.reason, "report only: would be banned");
            self.notify(&AbuseEvent::WouldBan(ban));
            return;
        }
        let crowd = policy.aggregate.and_then(|limit| {
            // The new ban is not counted yet.
            self.0
                .bans
                .crowded_network(&ban.offender, limit.saturating_sub(1))
        });
        match crowd {
            // Exempt addresses within the network stay exempt: each client is checked.
            Some(network) => {
                self.apply(Ban {
                    offender: Offender::Network(network),
                    reason: "many banned neighbours".into(),
                    ..ban
                });
                for offender in self.0.bans.remove_within(network) {
                    self.publish(&BanChange::Unbanned(offender), None);
                }
            }
            None => self.apply(ban),
        }
    }

    /// Bans an offender for this long, or permanently.
    pub fn ban(&self, offender: Offender, length: Option<Duration>, reason: impl Into<Arc<str>>) {
        let since = self.0.clock.now();
        self.apply(Ban {
            offender,
            since,
            until: length.map(|length| since + length),
            reason: reason.into(),
        });
    }

    fn apply(&self, ban: Ban) {
        if self.insert(&ban, ban.since) {
            self.publish(&BanChange::Banned(ban.clone()), None);
            self.notify(&AbuseEvent::Banned(ban));
        }
    }

    fn insert(&self, ban: &Ban, now: Timestamp) -> bool {
        let is_new = self.0.bans.insert(ban, now);
        self.0.banned_once.store(true, Ordering::Release);
        is_new
    }

    /// Lifts a ban immediately, and clears the offences. Returns whether a ban existed.
    ///
    /// A network within a wider banned network stays banned;
    /// [`find_ban`](Self::find_ban) returns that ban.
    pub fn unban(&self, offender: &Offender) -> bool {
        self.0.offenders.remove(offender);
        self.0.report_only.bans.remove(offender);
        let removed = self.0.bans.remove(offender);
        // Always published: a store may still hold a ban that has expired here.
        self.publish(&BanChange::Unbanned(offender.clone()), None);
        if removed.is_some() {
            self.notify(&AbuseEvent::Unbanned(offender.clone()));
        }
        removed.is_some()
    }

    /// Returns all active bans, unordered.
    pub fn bans(&self) -> Vec<Ban> {
        self.0.bans.all(self.0.clock.now())
    }

    /// Returns the ban of this offender, or of a network that contains it.
    pub fn find_ban(&self, offender: &Offender) -> Option<Ban> {
        match offender {
            Offender::Network(network) => self.find_by_address(network.address()),
            Offender::Principal(_) => self.0.bans.get(offender, || self.0.clock.now()),
        }
    }

    /// Returns counters for metrics and status pages.
    pub fn stats(&self) -> AbuseStats {
        let policy = self.0.policy.load();
        AbuseStats {
            denied_count: self.0.denied.load(Ordering::Relaxed),
            would_deny_count: self.0.report_only.refused(),
            skipped_lines: self.skipped().values().map(|lines| lines.count()).sum(),
            tracked_entities: self.0.offenders.len(),
            banned_entities: self.0.bans.len(),
            threshold: policy.threshold,
            window: policy.window,
        }
    }

    fn notify(&self, event: &AbuseEvent) {
        for listener in &self.0.listeners {
            // The caller, such as the thread of a deny-list, must continue.
            if panic::catch_unwind(AssertUnwindSafe(|| listener(event))).is_err() {
                error!("listener of abuse events panicked");
            }
        }
    }
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
