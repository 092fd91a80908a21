//! Writes changes, and asks for those of others.

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

/// How often it asks for what is new.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How many changes one call writes.
const MAX_BATCH: usize = 256;
/// How many bans there are at most.
const MAX_BANS: usize = 100_000;

pub(super) struct SyncTask {
    shared: Arc<Shared>,
    redis: Redis,
    clock: SystemClock,
    /// The bans, when they end, and the log.
    keys: [String; 3],
    /// The last entry of the log that was seen; none where all has to be read.
    last: String,
    /// Which collection of bans was read last.
    collection: Option<String>,
    /// Whether Redis once knew bans that it knows no more. What is missing there says
    /// nothing since then; what ends is in the log.
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

    /// Writes what there is to write, and returns what is new.
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
                // What was changed once more meanwhile has to be written once more.
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

    /// What the log says, but for those of whom this process has something newer to say.
    fn decode_changes(&mut self, lines: Vec<LogLine>) -> Vec<BanUpdate> {
        if let Some((last, _)) = lines.last() {
            self.last.clone_from(last);
        }
        let unwritten = self.shared.unwritten();
        let changes = lines.iter().filter_map(|(at, [_, who, _, ban])| {
            let change = entry::read_change(who, ban);
            if change.is_none() {
                // Without the entry, which is another program's; a reading of all counts it.
                tracing::warn!(
                    entry = %at,
                    "an entry of the log of bans in Redis cannot be read and bans no client"
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
        let error = "Redis has lost its bans; those that are known here still hold";
        let failed = BanUpdate::Failed {
            error: error.into(),
        };
        let changes = bans
            .into_iter()
            .map(BanChange::Banned)
            .map(BanUpdate::Change);
        Ok(iter::once(failed).chain(changes).collect())
    }

    /// What could not be written yet is as good as written.
    fn add_unwritten(&self, bans: &mut Vec<Ban>) {
        let unwritten = self.shared.unwritten();
        bans.retain(|ban| !unwritten.contains_key(&ban.offender));
        bans.extend(unwritten.values().filter_map(|change| match change {
            BanChange::Banned(ban) => Some(ban.clone()),
            BanChange::Unbanned(_) => None,
        }));
    }

    /// Says so once; and then all is read, as soon as that works.
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

    /// Many bans take a while, and no other task should wait for them.
    async fn notify(&self, updates: Vec<BanUpdate>) {
        let Some(listener) = self.shared.listener().filter(|_| !updates.is_empty()) else {
            return;
        };
        let notified =
            tokio::task::spawn_blocking(move || updates.into_iter().for_each(&**listener));
        // The task goes on: what was told is not told again.
        if notified.await.is_err_and(|error| error.is_panic()) {
            tracing::error!("the listener of the bans in Redis has panicked");
        }
    }

    /// A name that no other collection of bans has.
    fn new_collection_id(&self) -> String {
        self.clock.now().as_nanos().to_string()
    }
}

/// Its id; `who`, the offender, `ban`, the ban.
type LogLine = (String, [String; 4]);
