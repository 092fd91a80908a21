//! Looks up the ban of a request.

use std::{net::IpAddr, sync::atomic::Ordering};

use stockade_core::{client::ClientIp, identity::Principal, refusal::Refusal};
use tracing::warn;

use super::Detector;
use crate::{AbuseEvent, AbusePolicy, Ban, Offender, bans::Bans, refusal};

/// The ban of a request.
pub(crate) struct BanMatch {
    pub(crate) ban: Ban,
    /// `false` in report-only mode.
    pub(crate) enforced: bool,
}

impl Detector {
    /// Returns the ban of this client. Before the first ban, `client` is not called.
    #[inline]
    pub(crate) fn ban_of_client(&self, client: impl FnOnce() -> ClientIp) -> Option<BanMatch> {
        if !self.0.banned_once.load(Ordering::Acquire) {
            return None;
        }
        self.find_ban_of_client(client())
    }

    fn find_ban_of_client(&self, client: ClientIp) -> Option<BanMatch> {
        let ClientIp::Ip(address) = client else {
            return None;
        };
        if !self.is_anything_banned() {
            return None;
        }
        let policy = self.0.policy.load();
        if policy.exempts_client(client) {
            return None;
        }
        self.hit(&policy, |bans| {
            bans.find_by_address(address, || self.0.clock.now())
        })
    }

    /// Returns the ban of this principal.
    pub(crate) fn ban_of_principal(&self, principal: &Principal) -> Option<BanMatch> {
        if !self.is_anything_banned() {
            return None;
        }
        let offender = Offender::principal(principal.id()).ok()?;
        let policy = self.0.policy.load();
        if policy.is_exempt(&offender) {
            return None;
        }
        self.hit(&policy, |bans| bans.get(&offender, || self.0.clock.now()))
    }

    /// Returns the refusal that a new request from this client would get because of a ban; `None`
    /// without a ban, and in report-only mode. Counts nothing.
    ///
    /// For responses that are on their way when their client is banned.
    pub fn recheck_client(&self, client: ClientIp) -> Option<Refusal> {
        let found = self.ban_of_client(|| client)?;
        found.enforced.then(|| self.refusal(&found.ban))
    }

    /// Like [`recheck_client`](Self::recheck_client), for an authenticated principal.
    pub fn recheck_principal(&self, principal: &Principal) -> Option<Refusal> {
        let found = self.ban_of_principal(principal)?;
        found.enforced.then(|| self.refusal(&found.ban))
    }

    fn is_anything_banned(&self) -> bool {
        !(self.0.bans.is_empty() && self.0.report_only.bans.is_empty())
    }

    /// Searches the active bans and, in report-only mode, the reported ones.
    fn hit(&self, policy: &AbusePolicy, find: impl Fn(&Bans) -> Option<Ban>) -> Option<BanMatch> {
        let enforced = !policy.report_only;
        let ban = find(&self.0.bans);
        let ban = ban.or_else(|| find(&self.0.report_only.bans).filter(|_| !enforced))?;
        Some(BanMatch { ban, enforced })
    }

    /// Whether a ban was added since the start; until then no request has a
    /// [`StandingRefusal`](stockade_core::refusal::StandingRefusal).
    #[inline]
    pub(crate) fn has_banned(&self) -> bool {
        self.0.banned_once.load(Ordering::Acquire)
    }

    pub(super) fn find_by_address(&self, address: IpAddr) -> Option<Ban> {
        self.0.bans.find_by_address(address, || self.0.clock.now())
    }

    /// Returns the refusal for this ban.
    pub(crate) fn refusal(&self, ban: &Ban) -> Refusal {
        let remaining = ban.until.map(|until| until - self.0.clock.now());
        refusal::banned(self.policy().response, remaining)
    }

    /// Returns the refusal for this ban, and counts it.
    pub(crate) fn deny(&self, ban: &Ban) -> Refusal {
        self.count_denied();
        self.refusal(ban)
    }

    pub(crate) fn count_denied(&self) {
        self.0.denied.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts and reports a request that would have been refused without report-only mode.
    pub(crate) fn would_deny(&self, ban: &Ban) {
        let now = self.0.clock.now();
        if self.0.report_only.refuse(&ban.offender, now) {
            warn!(client = %ban.offender, reason = %ban.reason, "report only: would be refused");
            self.notify(&AbuseEvent::WouldRefuse(ban.clone()));
        }
    }
}
