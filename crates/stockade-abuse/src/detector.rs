//! Who offends, who is banned, and who hears of it.

mod builder;
mod lookup;
mod report_only;
mod stores;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{BuildHasher, RandomState},
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex, Once,
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
    AbuseEvent, AbuseListener, AbusePolicy, Ban, BanChange, BanStore, Offender, OffenderError,
    Signal, SkippedLines,
    bans::Bans,
    history::{History, NewOffence},
    table::Table,
};

pub use builder::DetectorBuilder;
pub(crate) use lookup::BanMatch;
use report_only::ReportOnly;

/// Counts offences, bans, and knows who is banned. Cloning shares it.
///
/// [`AbuseGuard`](crate::AbuseGuard) and [`PrincipalGuard`](crate::PrincipalGuard) ask it
/// and tell it; an application can do both, too.
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
    /// By the place of the store among the stores.
    skipped: Mutex<BTreeMap<usize, Arc<SkippedLines>>>,
    /// The places of the stores that failed and were not read since.
    failing: Mutex<BTreeSet<usize>>,
    report_only: ReportOnly,
    /// Set with the first ban: until then, a check is one load of this.
    banned_once: AtomicBool,
    jitter: RandomState,
}

impl Detector {
    /// A detector that keeps everything in memory.
    pub fn new(policy: AbusePolicy) -> Self {
        Self::builder(policy).build()
    }

    /// A detector with stores, listeners or other bounds.
    pub fn builder(policy: AbusePolicy) -> DetectorBuilder {
        DetectorBuilder::new(policy)
    }

    /// Puts another policy in force. Bans that were made stay as they are.
    pub fn set_policy(&self, policy: AbusePolicy) {
        self.0.policy.store(Arc::new(policy));
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<AbusePolicy> {
        self.0.policy.load_full()
    }

    /// Notes an offence of a client, or of the principal that it was authenticated as.
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
        self.judge(client, principal, |_| Some((signal, fingerprint)));
    }

    /// The same for an offence, and its fingerprint, that the policy in force tells.
    pub(crate) fn judge(
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
        let Some(offender) = offender(client, principal, &policy) else {
            return;
        };
        let at = self.0.clock.now();
        let fingerprint = fingerprint.or(match signal {
            // Sending nothing, or nothing that could be a credential, again and again is one
            // offence: neither guesses anything.
            Signal::MissingCredential => Some(u64::MAX),
            Signal::MalformedCredential => Some(u64::MAX << 33),
            _ => None,
        });
        let offence = NewOffence {
            at,
            points,
            fingerprint,
        };
        let (verdict, _) = self.0.offenders.change(
            &offender,
            History::default,
            |history| history.record(offence, &policy),
            |history| {
                let over = history.is_expired(at, &policy);
                (!over).then(|| history.severity(at, policy.window))
            },
        );
        if let Some(bans_before) = verdict {
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
            // This one is not counted yet.
            self.0
                .bans
                .crowded_network(&ban.offender, limit.saturating_sub(1))
        });
        match crowd {
            // What is exempt inside of it stays so: clients are asked that one by one.
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

    /// Bans somebody for this long, or for good.
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

    /// Ends a ban at once, and forgets what led to it. `false` where there was none.
    ///
    /// A network that lies within a wider one that is banned stays banned with it;
    /// [`find_ban`](Self::find_ban) names that one.
    pub fn unban(&self, offender: &Offender) -> bool {
        self.0.offenders.remove(offender);
        self.0.report_only.bans.remove(offender);
        let removed = self.0.bans.remove(offender);
        // Told in any case: a store may hold one that this process has let run out.
        self.publish(&BanChange::Unbanned(offender.clone()), None);
        if removed.is_some() {
            self.notify(&AbuseEvent::Unbanned(offender.clone()));
        }
        removed.is_some()
    }

    /// All bans in force, in no order.
    pub fn bans(&self) -> Vec<Ban> {
        self.0.bans.all(self.0.clock.now())
    }

    /// The ban that this offender falls under: its own, or that of a network around it.
    pub fn find_ban(&self, offender: &Offender) -> Option<Ban> {
        match offender {
            Offender::Network(network) => self.find_by_address(network.address()),
            Offender::Principal(_) => self.0.bans.get(offender, || self.0.clock.now()),
        }
    }

    /// What goes on, for pages and metrics.
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
            // Whoever tells, such as the thread that follows a deny-list, has to go on.
            if panic::catch_unwind(AssertUnwindSafe(|| listener(event))).is_err() {
                error!("a listener of bans has panicked");
            }
        }
    }
}

/// The responsible client or principal; `None` for an exempt one, and for a principal where
/// the policy bans none.
fn offender(
    client: ClientIp,
    principal: Option<&Principal>,
    policy: &AbusePolicy,
) -> Option<Offender> {
    if policy.exempts_client(client) {
        return None;
    }
    let offender = match principal {
        // Its address is not held responsible either: it may be that of many.
        Some(_) if !policy.ban_principals => return None,
        Some(principal) => match Offender::principal(principal.id()) {
            Ok(offender) => offender,
            Err(error) => {
                cannot_ban(&error);
                return None;
            }
        },
        None => Offender::client(client, policy.v6_length)?,
    };
    (!policy.is_exempt(&offender)).then_some(offender)
}

/// Logs, once, that there are principals whom no line of a deny-list could name.
#[cold]
fn cannot_ban(error: &OffenderError) {
    static LOGGED: Once = Once::new();
    LOGGED.call_once(|| {
        warn!(%error, "a principal that offends is not banned: a deny-list cannot name its id");
    });
}

impl fmt::Debug for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detector")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// What a [`Detector`] has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AbuseStats {
    /// Requests refused because of a ban.
    pub denied_count: u64,
    /// Requests that would have been refused, if it were not for
    /// [`AbusePolicy::report_only`].
    pub would_deny_count: u64,
    /// Lines of deny-lists, and entries of other stores, that ban no client because they cannot
    /// be read.
    pub skipped_lines: usize,
    /// Offenders whose offences are remembered.
    pub tracked_entities: usize,
    /// Bans, those included that have just run out.
    pub banned_entities: usize,
    /// Points that lead to a ban.
    pub threshold: u32,
    /// Within which time.
    pub window: Duration,
}
