//! Writes changes and polls for those of other processes.

use std::{
    iter, mem,
    sync::{Arc, LazyLock},
    time::Duration,
};

use redis::Script;
use stockade_abuse::{Ban, BanChange, BanUpdate, SkippedLines};
use stockade_core::clock::{Clock, SystemClock};
use tokio::time::{MissedTickBehavior, interval};

use super::{Shared, entry};
use crate::{Redis, error::CallError};

static PUBLISH: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("publish.lua")));
static CHANGES: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("changes.lua")));
static SCAN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scan.lua")));

/// The interval between polls.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The highest number of changes per call.
const MAX_BATCH: usize = 256;
/// The highest number of bans.
const MAX_BANS: usize = 100_000;

pub(super) struct SyncTask {
    shared: Arc<Shared>,
    redis: Redis,
    clock: SystemClock,
    /// The bans, their ends, and the log.
    keys: [String; 3],
    /// The last entry of the log that was read; empty if everything has to be read.
    last: String,
    /// The id of the collection of bans that was read last.
    collection: Option<String>,
    /// Whether Redis has lost bans that it once had. From then on, a missing ban means
    /// nothing; lifted bans are in the log.
    lost: bool,
    failing: bool,
}

impl SyncTask {
    pub(super) fn new(shared: &Arc<Shared>, redis: &Redis) -> Self {
        let key = |kind| redis.namespace().key(kind);
        Self {
            shared: Arc::clone(shared),
            redis: redis.clone(),
            clock: SystemClock::new(),
            keys: [key("bans"), key("bans:ends"), key("bans:log")],
            last: String::new(),
            collection: None,
            lost: false,
            failing: false,
        }
    }

    pub(super) async fn run(mut self) {
        let mut ticker = interval(POLL_INTERVAL);
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticker.tick() => {}
                () = self.shared.wake.notified() => {}
            }
            match self.sync().await {
                Ok(updates) => {
                    self.failing = false;
                    self.notify(updates).await;
                }
                Err(failure) => self.failed(&failure).await,
            }
        }
    }

    /// Writes pending changes, and returns new ones.
    async fn sync(&mut self) -> Result<Vec<BanUpdate>, CallError> {
        self.write().await?;
        if self.shared.listener().is_none() {
            return Ok(Vec::new());
        }
        let (lines, newest, collection) = self.fetch_changes().await?;
        if newest.is_empty() {
            return Ok(self.decode_changes(lines));
        }
        let update = self.read_all(collection).await?;
        self.last = newest;
        Ok(update)
    }

    async fn write(&self) -> Result<(), CallError> {
        loop {
            let changes: Vec<BanChange> = {
                let unwritten = self.shared.unwritten();
                unwritten.values().take(MAX_BATCH).cloned().collect()
            };
            if changes.is_empty() {
                return Ok(());
            }
            let mut call = PUBLISH.prepare_invoke();
            call.key(&self.keys[..])
                .arg(MAX_BANS)
                .arg(self.new_collection_id());
            for change in &changes {
                let (ban, until) = match change {
                    BanChange::Banned(ban) => (entry::write(ban), ban.until),
                    BanChange::Unbanned(_) => (String::new(), None),
                };
                let until = until.map(|until| (until.as_nanos() / 1_000_000).to_string());
                call.arg(entry::offender(change).to_string())
                    .arg(ban)
                    .arg(until.as_deref().unwrap_or("+inf"));
            }
            self.redis.link().run::<u64>(&call).await?;
            let mut unwritten = self.shared.unwritten();
            for change in &changes {
                let offender = entry::offender(change);
                // Changes that were superseded in the meantime are written again.
                if unwritten.get(offender) == Some(change) {
                    unwritten.remove(offender);
                }
            }
        }
    }

    async fn fetch_changes(&self) -> Result<(Vec<LogLine>, String, String), CallError> {
        let [bans, _, log] = &self.keys;
        let mut call = CHANGES.prepare_invoke();
        call.key(bans)
            .key(log)
            .arg(&self.last)
            .arg(self.new_collection_id());
        self.redis.link().run(&call).await
    }

    /// Decodes the log, except for offenders with a newer change in this process.
    fn decode_changes(&mut self, lines: Vec<LogLine>) -> Vec<BanUpdate> {
        if let Some((last, _)) = lines.last() {
            self.last.clone_from(last);
        }
        let unwritten = self.shared.unwritten();
        let changes = lines.iter().filter_map(|(at, [_, who, _, ban])| {
            let change = entry::read_change(who, ban);
            if change.is_none() {
                // Without the entry, which belongs to another program; a full read counts it.
                tracing::warn!(
                    entry = %at,
                    "ignoring an unreadable entry of the ban log in Redis"
                );
            }
            change
        });
        changes
            .filter(|change| !unwritten.contains_key(entry::offender(change)))
            .map(BanUpdate::Change)
            .collect()
    }

    async fn read_all(&mut self, collection: String) -> Result<Vec<BanUpdate>, CallError> {
        let read_at = self.clock.now();
        let mut bans: Vec<Ban> = Vec::new();
        let mut skipped_lines = 0;
        let mut cursor = "0".to_owned();
        while bans.len() < MAX_BANS {
            let mut call = SCAN.prepare_invoke();
            call.key(&self.keys[0]).arg(&cursor);
            let (next, entries): (String, Vec<(String, String)>) =
                self.redis.link().run(&call).await?;
            for (who, ban) in entries.iter().filter(|(who, _)| !who.is_empty()) {
                match entry::read(who, ban) {
                    Some(ban) => bans.push(ban),
                    None => skipped_lines += 1,
                }
            }
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        self.add_unwritten(&mut bans);
        let known = self.collection.replace(collection);
        self.lost |= known.is_some_and(|known| self.collection.as_ref() != Some(&known));
        if !self.lost {
            return Ok(vec![BanUpdate::All {
                bans,
                skipped: SkippedLines::entries("Redis", skipped_lines),
                read_at,
            }]);
        }
        let error = "Redis has lost its bans; the bans known to this process stay in force";
        let failed = BanUpdate::Failed {
            error: error.into(),
        };
        let changes = bans
            .into_iter()
            .map(BanChange::Banned)
            .map(BanUpdate::Change);
        Ok(iter::once(failed).chain(changes).collect())
    }

    /// Pending changes count as written.
    fn add_unwritten(&self, bans: &mut Vec<Ban>) {
        let unwritten = self.shared.unwritten();
        bans.retain(|ban| !unwritten.contains_key(&ban.offender));
        bans.extend(unwritten.values().filter_map(|change| match change {
            BanChange::Banned(ban) => Some(ban.clone()),
            BanChange::Unbanned(_) => None,
        }));
    }

    /// Reports the first of several failures, and schedules a full read.
    async fn failed(&mut self, failure: &CallError) {
        if !self.lost {
            self.last.clear();
        }
        if mem::replace(&mut self.failing, true) {
            return;
        }
        let error = format!("cannot read or write the bans in Redis: {failure}");
        self.notify(vec![BanUpdate::Failed {
            error: error.into(),
        }])
        .await;
    }

    /// A large number of bans takes a while, and must not delay other tasks.
    async fn notify(&self, updates: Vec<BanUpdate>) {
        let Some(listener) = self.shared.listener().filter(|_| !updates.is_empty()) else {
            return;
        };
        let notified =
            tokio::task::spawn_blocking(move || updates.into_iter().for_each(&**listener));
        // The task continues; these updates are not repeated.
        if notified.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("the listener of the Redis ban store panicked");
        }
    }

    /// An id that no other collection of bans has.
    fn new_collection_id(&self) -> String {
        self.clock.now().as_nanos().to_string()
    }
}

/// The entry's id; `who` and the offender, `ban` and the ban.
type LogLine = (String, [String; 4]);
