//! The last uses of keys, as the records and the usage of the administration know them.

use std::collections::HashMap;

use sqlx::Row as _;

use super::KeyView;
use crate::{
    database::Database,
    records::{Period, Scope},
    statement::Statement,
    time,
};

/// Adds the last uses that the store of the keys does not have: a key file is not written at each
/// use, and a database is after a minute. The precision of uses whose records were removed is a day.
///
/// # Errors
/// When the database is unavailable.
pub(crate) async fn add_last_uses(
    views: &mut [KeyView],
    database: &Database,
) -> Result<(), sqlx::Error> {
    if views.is_empty() {
        return Ok(());
    }
    let mut uses = HashMap::new();
    for row in statement(views).fetch_all(database.pool()).await? {
        let id: String = row.try_get(0)?;
        let at: Option<i64> = row.try_get(1)?;
        uses.extend(at.map(|at| (id, at)));
    }
    for view in views {
        let known = view.last_used_at.as_deref().and_then(time::parse);
        let used = uses.remove(&view.id).filter(|at| known < Some(*at));
        if let Some(at) = used {
            view.last_used_at = Some(time::rfc3339(at));
        }
    }
    Ok(())
}

/// Selects the ids, each with the time of its newest record, or else the day of its last usage.
fn statement(views: &[KeyView]) -> Statement {
    let mut sql = Statement::new("WITH keys (id) AS (VALUES ");
    for (at, view) in views.iter().enumerate() {
        sql.push(if at == 0 { "(" } else { ", (" })
            .bind(&view.id)
            .push(")");
    }
    // Changes of an administrator with the name of a key are events, which are not uses of it.
    sql.push(
        ") SELECT id, coalesce((SELECT at FROM stockade_admin_records WHERE user_id = keys.id \
         AND kind < 2 ORDER BY at DESC, position DESC LIMIT 1), \
         (SELECT max(start) FROM stockade_admin_usage WHERE key_id = keys.id AND model = '' \
         AND scope = ",
    )
    .bind(Scope::Key as i64)
    .push(" AND period = ")
    .bind(Period::Day as i64)
    .push(")) FROM keys");
    sql
}
