//! Applies updates of stores, and publishes changes to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, MutexGuard, PoisonError},
};

use stockade_core::clock::Timestamp;
use tracing::{error, info, warn};

use super::Detector;
use crate::{AbuseEvent, Ban, BanChange, BanUpdate, Offender, SkippedLines};

impl Detector {
    /// Applies an update of a store.
    pub(super) fn apply_update(&self, store: usize, update: BanUpdate) {
        let now = self.0.clock.now();
        match update {
            BanUpdate::Change(BanChange::Banned(ban)) => self.apply_ban(ban, store, now),
            BanUpdate::Change(BanChange::Unbanned(offender)) => self.apply_unban(offender, store),
            BanUpdate::Failed { error } => {
                error!(%error, "ban store failed; bans are kept in memory only");
                self.failing().insert(store);
                self.notify(&AbuseEvent::ListFailed { error });
            }
            BanUpdate::Missing { file } => {
                warn!(%file, "deny-list is missing; the next ban creates it");
                self.notify(&AbuseEvent::ListMissing { file });
            }
            BanUpdate::All {
                bans,
                skipped,
                read_at,
            } => {
                for offender in self.0.bans.remove_missing(&bans, read_at) {
                    self.clear_offences(offender, store);
                }
                let taken = bans.len();
                for ban in bans {
                    self.apply_ban(ban, store, now);
                }
                self.notify(&AbuseEvent::ListLoaded {
                    bans: taken,
                    skipped_lines: skipped.count(),
                });
                if self.failing().remove(&store) {
                    let source = Arc::clone(skipped.source());
                    info!(%source, "ban store recovered");
                    self.notify(&AbuseEvent::ListRecovered { source });
                }
                self.apply_skipped(store, skipped);
            }
        }
    }

    /// Logs and notifies skipped lines if they differ from those of the last reading.
    fn apply_skipped(&self, store: usize, skipped: SkippedLines) {
        let skipped = Arc::new(skipped);
        let mut all = self.skipped();
        let before = all.insert(store, Arc::clone(&skipped));
        drop(all);
        let was_empty = before.as_ref().is_none_or(|before| before.is_empty());
        if before.as_ref() == Some(&skipped) || (was_empty && skipped.is_empty()) {
            return;
        }
        for line in skipped.listed() {
            warn!(
                list = %skipped.source(),
                line = line.number,
                help = line.problem.help(),
                "deny-list line skipped: {}",
                line.problem
            );
        }
        if skipped.unlisted() > 0 {
            warn!(list = %skipped.source(), count = skipped.unlisted(), "more entries skipped");
        }
        self.notify(&AbuseEvent::LinesSkipped(skipped));
    }

    fn failing(&self) -> MutexGuard<'_, BTreeSet<usize>> {
        // No code panics while holding the lock.
        let failing = self.0.failing.lock();
        failing.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn skipped(&self) -> MutexGuard<'_, BTreeMap<usize, Arc<SkippedLines>>> {
        // No code panics while holding the lock.
        let skipped = self.0.skipped.lock();
        skipped.unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the lines of deny-lists, and the entries of other stores, that cannot be parsed.
    pub fn skipped_lines(&self) -> Vec<Arc<SkippedLines>> {
        let all = self.skipped();
        let some = all.values().filter(|skipped| !skipped.is_empty());
        some.map(Arc::clone).collect()
    }

    fn apply_ban(&self, ban: Ban, store: usize, now: Timestamp) {
        if ban.is_active(now) && self.insert(&ban, now) {
            self.publish(&BanChange::Banned(ban.clone()), Some(store));
            self.notify(&AbuseEvent::Banned(ban));
        }
    }

    fn apply_unban(&self, offender: Offender, store: usize) {
        if self.0.bans.remove(&offender).is_some() {
            self.clear_offences(offender, store);
        } else {
            self.0.offenders.remove(&offender);
        }
    }

    /// Clears the offences after a store lifted a ban, and publishes the change.
    fn clear_offences(&self, offender: Offender, store: usize) {
        self.0.offenders.remove(&offender);
        self.publish(&BanChange::Unbanned(offender.clone()), Some(store));
        self.notify(&AbuseEvent::Unbanned(offender));
    }

    pub(super) fn publish(&self, change: &BanChange, except: Option<usize>) {
        for (at, store) in self.0.stores.iter().enumerate() {
            if Some(at) != except {
                store.publish(change);
            }
        }
    }
}
