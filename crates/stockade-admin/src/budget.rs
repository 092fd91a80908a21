//! Budgets of money, tokens or requests, for keys, owners, teams or all clients.
//!
//! In contrast to the quotas of `stockade-rate-limit`, budgets are changed while the program runs,
//! follow the calendar (UTC), are kept in the database, and can be prepaid.
//!
//! 1. A request reserves what it may use, and is refused if a budget has less left. The
//!    reservation is settled with the reported usage when the response has ended; a refused or
//!    failed request costs nothing.
//! 2. Requests never wait for the database. What was used is written every second, and that of
//!    other processes is read: each of them may exceed a budget by what the others use in a
//!    second. A process that crashes loses at most its last second.
//! 3. While the database is unavailable, the last known state applies, and what is used is kept
//!    until it can be written. A write whose result is unknown is repeated, and may count twice.

mod account;
mod definition;
mod guard;
mod ledger;
mod store;
mod used;
mod window;

pub use guard::{BudgetGuard, BudgetReservation};
pub use used::BudgetUse;

pub(crate) use definition::{Budget, BudgetKind, BudgetUnit};
pub(crate) use ledger::{BudgetStatus, Budgets};
pub(crate) use window::BudgetPeriod;
