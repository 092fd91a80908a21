//! The accounts of all budgets, and their exchange with the database.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use arc_swap::ArcSwap;
use metrics::{describe_counter, describe_gauge, gauge};
use sqlx::AnyConnection;
use stockade_core::{
    identity::Principal,
    llm::{ModelRequest, TokenUsage},
};
use tokio::time::{self, MissedTickBehavior};

use super::{
    Budget, BudgetKind, BudgetPeriod, BudgetUnit, account::Account, store, used::percent,
    window::Window,
};
use crate::{PriceConfig, database::Database, exchange::ExchangeMonitor, time::now};

/// How often the database is written and read.
const EXCHANGE_INTERVAL: Duration = Duration::from_secs(1);

/// 1 while the exchange with the database fails or hangs.
const FAILING: &str = "stockade_budgets_failing";

/// The number of budgets of which at least [`NEAR_PERCENT`] are used. Not one series for each of
/// them, whose number has no bound.
const NEAR_LIMIT: &str = "stockade_budgets_near_limit";
const NEAR_PERCENT: u64 = 80;

/// All budgets. Cheap to clone; the exchange with the database ends with the last clone.
#[derive(Clone)]
pub(crate) struct Budgets(Arc<Ledger>);

pub(super) struct Ledger {
    database: Database,
    prices: BTreeMap<String, PriceConfig>,
    table: ArcSwap<Table>,
    /// One exchange at a time: an amount must not be written twice.
    turn: tokio::sync::Mutex<()>,
    /// Whether the exchanges of the task fail at present.
    failing: Arc<AtomicBool>,
}

/// The budgets by what they apply to.
#[derive(Default)]
struct Table {
    entries: BTreeMap<String, Arc<Entry>>,
    by_kind: [HashMap<String, Vec<Arc<Entry>>>; 4],
}

/// A budget with its account.
pub(super) struct Entry {
    pub(super) budget: Budget,
    /// Kept when the limit changes.
    account: Arc<Mutex<Account>>,
}

/// The state of a budget.
#[derive(Clone, Debug)]
pub(crate) struct BudgetStatus {
    pub(crate) budget: Budget,
    pub(crate) spent: i64,
    pub(crate) reserved: i64,
    /// The start of the window, and of the next one.
    pub(crate) window: Option<(i64, i64)>,
}

impl Budgets {
    /// Reads all budgets, and exchanges them with the database every second.
    pub(crate) async fn start(
        database: Database,
        prices: BTreeMap<String, PriceConfig>,
    ) -> Result<Self, sqlx::Error> {
        describe_gauge!(
            FAILING,
            "Whether budgets cannot be written to and read from the database"
        );
        describe_gauge!(NEAR_LIMIT, "Budgets of which 80 % or more are used");
        describe_counter!(
            "stockade_unpriced_requests_total",
            "Requests with a budget of money to models without a price"
        );
        let ledger = Arc::new(Ledger {
            database,
            prices,
            table: ArcSwap::default(),
            turn: tokio::sync::Mutex::default(),
            failing: Arc::default(),
        });
        ledger.exchange().await?;
        let followed = Arc::downgrade(&ledger);
        let failing = Arc::clone(&ledger.failing);
        tokio::spawn(async move {
            let mut ticks = time::interval(EXCHANGE_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut monitor = ExchangeMonitor::new(FAILING, "write and read budgets", failing);
            loop {
                ticks.tick().await;
                let Some(ledger) = followed.upgrade() else {
                    return;
                };
                monitor.watch(ledger.exchange()).await;
            }
        });
        Ok(Self(ledger))
    }

    /// Writes what was used, and reads the budgets and what other processes have used.
    pub(crate) async fn exchange(&self) -> Result<(), sqlx::Error> {
        self.0.exchange().await
    }

    /// Whether budgets cannot be written and read at present.
    pub(crate) fn is_failing(&self) -> bool {
        self.0.failing.load(Ordering::Relaxed)
    }

    /// All budgets, by id.
    pub(crate) fn list(&self) -> Vec<BudgetStatus> {
        let now = now();
        let table = self.0.table.load();
        table
            .entries
            .values()
            .map(|entry| entry.status(now))
            .collect()
    }

    /// The budget with this id.
    pub(crate) fn get(&self, id: &str) -> Option<BudgetStatus> {
        let table = self.0.table.load();
        table.entries.get(id).map(|entry| entry.status(now()))
    }

    /// The budgets that apply to a principal.
    pub(crate) fn of(&self, principal: &Principal) -> Vec<BudgetStatus> {
        let now = now();
        let table = self.0.table.load();
        let entries = table.of(Some(principal));
        entries.map(|entry| entry.status(now)).collect()
    }

    /// Adds a budget, which is in force after the transaction and an exchange.
    pub(crate) async fn insert(
        &self,
        budget: &Budget,
        connection: &mut AnyConnection,
    ) -> Result<(), sqlx::Error> {
        store::insert(budget, connection).await
    }

    /// Adds what was used of a budget in a window; 0 for the window of prepaid amounts.
    pub(crate) async fn add_spent(
        &self,
        id: &str,
        window_start: i64,
        amount: i64,
        connection: &mut AnyConnection,
    ) -> Result<(), sqlx::Error> {
        store::add_one(id, window_start, amount, connection).await
    }

    /// Returns whether the budget exists with the old limit.
    pub(crate) async fn set_limit(
        &self,
        id: &str,
        old: i64,
        new: i64,
    ) -> Result<bool, sqlx::Error> {
        let found = store::set_limit(&self.0.database, id, old, new).await?;
        self.0.exchange().await?;
        Ok(found)
    }

    /// Adds to a limit, with effect after the transaction and an exchange. Returns the new limit;
    /// `None` if there is no such budget.
    pub(crate) async fn top_up(
        &self,
        id: &str,
        amount: i64,
        connection: &mut AnyConnection,
    ) -> Result<Option<i64>, sqlx::Error> {
        store::top_up(id, amount, connection).await
    }

    /// Returns whether the budget existed.
    pub(crate) async fn delete(&self, id: &str) -> Result<bool, sqlx::Error> {
        let found = store::delete(&self.0.database, id).await?;
        self.0.exchange().await?;
        Ok(found)
    }

    /// Whether there are no budgets.
    pub(super) fn is_empty(&self) -> bool {
        self.0.table.load().entries.is_empty()
    }

    /// The budgets that apply to a request.
    pub(super) fn applicable(
        &self,
        principal: Option<&Principal>,
        request: &ModelRequest,
    ) -> Vec<Arc<Entry>> {
        let table = self.0.table.load();
        let entries = table.of(principal);
        let entries = entries.filter(|entry| {
            let model = entry.budget.model.as_deref();
            model.is_none() || model == request.model.as_deref()
        });
        entries.cloned().collect()
    }

    /// What this usage of a model costs in a unit.
    pub(super) fn amount(&self, unit: BudgetUnit, model: &str, usage: TokenUsage) -> i64 {
        match unit {
            BudgetUnit::Requests => 1,
            BudgetUnit::Tokens => {
                let tokens = usage.prompt_tokens.saturating_add(usage.completion_tokens);
                i64::try_from(tokens).unwrap_or(i64::MAX)
            }
            BudgetUnit::Money => match self.0.prices.get(model) {
                #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
                Some(price) => price.millionths(usage).ceil() as i64,
                None => {
                    metrics::counter!("stockade_unpriced_requests_total").increment(1);
                    0
                }
            },
        }
    }
}

impl BudgetStatus {
    /// The status of a new budget.
    pub(crate) fn new(budget: Budget) -> Self {
        let window = budget.period.map(|period| period.window(now()));
        Self {
            budget,
            spent: 0,
            reserved: 0,
            window: window.map(|window| (window.start, window.end)),
        }
    }
}

impl Ledger {
    async fn exchange(&self) -> Result<(), sqlx::Error> {
        let _turn = self.turn.lock().await;
        let table = self.table.load_full();
        let unsaved: Vec<_> = table
            .entries
            .iter()
            .map(|(id, entry)| (id.clone(), entry.account().unsaved()))
            .filter(|(_, amounts)| !amounts.is_empty())
            .collect();
        if !unsaved.is_empty() {
            store::add(&self.database, &unsaved).await?;
            for (id, amounts) in &unsaved {
                if let Some(entry) = table.entries.get(id) {
                    entry.account().saved(amounts);
                }
            }
        }
        let budgets = store::list(&self.database).await?;
        let now = now();
        let [day, week, month] = BudgetPeriod::ALL.map(|period| period.window(now).start);
        let spent = store::spent(&self.database, [0, day, week, month]).await?;
        let mut new = Table::default();
        let mut near = 0_u32;
        for budget in budgets {
            let known = table.entries.get(&budget.id);
            let entry = Entry {
                account: known.map_or_else(Arc::default, |known| known.account.clone()),
                budget,
            };
            let start = entry.enter(now).map_or(0, |window| window.start);
            let written = spent.get(&(entry.budget.id.clone(), start));
            entry.account().load(start, written.copied().unwrap_or(0));
            near += u32::from(entry.is_near_limit());
            new.add(Arc::new(entry));
        }
        gauge!(NEAR_LIMIT).set(near);
        self.table.store(Arc::new(new));
        Ok(())
    }
}

impl Table {
    fn add(&mut self, entry: Arc<Entry>) {
        let Budget {
            id, kind, subject, ..
        } = &entry.budget;
        let of_kind = &mut self.by_kind[*kind as usize];
        of_kind
            .entry(subject.clone())
            .or_default()
            .push(entry.clone());
        self.entries.insert(id.clone(), entry.clone());
    }

    fn of(&self, principal: Option<&Principal>) -> impl Iterator<Item = &Arc<Entry>> {
        BudgetKind::ALL
            .into_iter()
            .zip(&self.by_kind)
            .filter_map(move |(kind, entries)| entries.get(kind.of_request(principal)?))
            .flatten()
    }
}

impl Entry {
    /// Reserves an amount; `false` if less is left.
    pub(super) fn reserve(&self, now: i64, amount: i64) -> bool {
        self.enter(now);
        self.account().reserve(self.budget.limit, amount)
    }

    /// Replaces a reservation with what was used.
    pub(super) fn settle(&self, now: i64, reserved: i64, used: i64) {
        self.enter(now);
        self.account().settle(reserved, used);
    }

    /// The window at this time.
    pub(super) fn window(&self, now: i64) -> Option<Window> {
        self.budget.period.map(|period| period.window(now))
    }

    fn enter(&self, now: i64) -> Option<Window> {
        let window = self.window(now)?;
        self.account().enter(window);
        Some(window)
    }

    /// Whether little is left in the window that was entered last.
    fn is_near_limit(&self) -> bool {
        percent(self.account().spent(), self.budget.limit) >= NEAR_PERCENT
    }

    fn status(&self, now: i64) -> BudgetStatus {
        let window = self.enter(now);
        let account = self.account();
        BudgetStatus {
            budget: self.budget.clone(),
            spent: account.spent(),
            reserved: account.reserved(),
            window: window.map(|window| (window.start, window.end)),
        }
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        // No code panics while the lock is held.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Budgets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.list()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_budgets_that_are_nearly_used_up() {
        let entry = |limit| Entry {
            budget: Budget {
                id: "bud_1".to_owned(),
                kind: BudgetKind::All,
                subject: String::new(),
                model: None,
                unit: BudgetUnit::Money,
                limit,
                period: None,
                created: 0,
            },
            account: Arc::default(),
        };
        let (small, large) = (entry(100), entry(i64::MAX / 2));
        for (entry, used, is_near) in [
            (&small, 0, false),
            (&small, 79, false),
            (&small, 1, true),
            (&small, 20, true),
            (&large, i64::MAX / 4, false),
            (&large, i64::MAX / 5, true),
        ] {
            entry.settle(0, 0, used);
            assert_eq!(entry.is_near_limit(), is_near, "{used}");
        }
    }
}
