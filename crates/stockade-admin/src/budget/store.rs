//! Budgets in the database.

use std::collections::{BTreeMap, HashMap};

use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{Budget, BudgetKind, BudgetPeriod, BudgetUnit};
use crate::database::Database;

const LIST: &str = "SELECT id, kind, subject, model, unit, amount_limit, period, created \
    FROM stockade_admin_budgets ORDER BY id";
const INSERT: &str = "INSERT INTO stockade_admin_budgets \
    (id, kind, subject, model, unit, amount_limit, period, created) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
const SET_LIMIT: &str = "UPDATE stockade_admin_budgets SET amount_limit = $3 \
    WHERE id = $1 AND amount_limit = $2";
/// Atomic, so that two top-ups at the same time both count.
const ADD_TO_LIMIT: &str = "UPDATE stockade_admin_budgets SET amount_limit = amount_limit + $2 WHERE id = $1 \
    RETURNING amount_limit";
const DELETE: &str = "DELETE FROM stockade_admin_budgets WHERE id = $1";
/// What was used of a budget that was deleted meanwhile is not written.
const ADD: &str = "INSERT INTO stockade_admin_spend (budget_id, window_start, amount) \
    SELECT id, $2, $3 FROM stockade_admin_budgets WHERE id = $1 \
    ON CONFLICT (budget_id, window_start) \
    DO UPDATE SET amount = stockade_admin_spend.amount + excluded.amount";
/// The windows of all periods are few.
const SPENT: &str = "SELECT budget_id, window_start, amount FROM stockade_admin_spend \
    WHERE window_start IN ($1, $2, $3, $4)";

pub(super) async fn list(database: &Database) -> Result<Vec<Budget>, sqlx::Error> {
    let rows = sqlx::query(LIST).fetch_all(database.pool()).await?;
    rows.iter().map(budget).collect()
}

pub(super) async fn insert(
    budget: &Budget,
    connection: &mut AnyConnection,
) -> Result<(), sqlx::Error> {
    let subject = (budget.kind != BudgetKind::All).then_some(&*budget.subject);
    let insert = sqlx::query(INSERT)
        .bind(&*budget.id)
        .bind(budget.kind.name())
        .bind(subject)
        .bind(budget.model.as_deref())
        .bind(budget.unit.name())
        .bind(budget.limit)
        .bind(budget.period.map(BudgetPeriod::name))
        .bind(budget.created);
    insert.execute(connection).await.map(drop)
}

/// Returns whether the budget exists with the old limit.
pub(super) async fn set_limit(
    database: &Database,
    id: &str,
    old: i64,
    new: i64,
) -> Result<bool, sqlx::Error> {
    let update = sqlx::query(SET_LIMIT).bind(id).bind(old).bind(new);
    let done = update.execute(database.pool()).await?;
    Ok(done.rows_affected() > 0)
}

/// Returns the new limit; `None` if there is no such budget.
pub(super) async fn top_up(
    id: &str,
    amount: i64,
    connection: &mut AnyConnection,
) -> Result<Option<i64>, sqlx::Error> {
    let update = sqlx::query(ADD_TO_LIMIT).bind(id).bind(amount);
    let row = update.fetch_optional(connection).await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Returns whether the budget existed.
pub(super) async fn delete(database: &Database, id: &str) -> Result<bool, sqlx::Error> {
    let delete = sqlx::query(DELETE).bind(id);
    let done = delete.execute(database.pool()).await?;
    Ok(done.rows_affected() > 0)
}

/// Adds amounts by budget and window, all or none.
pub(super) async fn add(
    database: &Database,
    amounts: &[(String, BTreeMap<i64, i64>)],
) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin().await?;
    for (id, windows) in amounts {
        for (window_start, amount) in windows {
            add_one(id, *window_start, *amount, &mut transaction).await?;
        }
    }
    transaction.commit().await
}

/// Adds an amount to what was used of a budget in a window.
pub(super) async fn add_one(
    id: &str,
    window_start: i64,
    amount: i64,
    connection: &mut AnyConnection,
) -> Result<(), sqlx::Error> {
    let add = sqlx::query(ADD).bind(id).bind(window_start).bind(amount);
    add.execute(connection).await.map(drop)
}

/// What all processes have written for these windows, by budget and window.
pub(super) async fn spent(
    database: &Database,
    windows: [i64; 4],
) -> Result<HashMap<(String, i64), i64>, sqlx::Error> {
    let select = windows
        .into_iter()
        .fold(sqlx::query(SPENT), |query, start| query.bind(start));
    let rows = select.fetch_all(database.pool()).await?;
    let entry = |row: &AnyRow| Ok(((row.try_get(0)?, row.try_get(1)?), row.try_get(2)?));
    rows.iter().map(entry).collect()
}

fn budget(row: &AnyRow) -> Result<Budget, sqlx::Error> {
    let text = |column| row.try_get::<String, _>(column);
    let optional = |column| row.try_get::<Option<String>, _>(column);
    let unknown = |column: &str| {
        let error = format!("the value of {column} is unknown; use the release that wrote it");
        sqlx::Error::Decode(error.into())
    };
    let period = optional("period")?;
    let period = period.map(|name| BudgetPeriod::of_name(&name).ok_or_else(|| unknown("period")));
    Ok(Budget {
        id: text("id")?,
        kind: BudgetKind::of_name(&text("kind")?).ok_or_else(|| unknown("kind"))?,
        subject: optional("subject")?.unwrap_or_default(),
        model: optional("model")?,
        unit: BudgetUnit::of_name(&text("unit")?).ok_or_else(|| unknown("unit"))?,
        limit: row.try_get("amount_limit")?,
        period: period.transpose()?,
        created: row.try_get("created")?,
    })
}
