//! Searches records, the newest first.

use std::time::{Duration, Instant};

use serde::Serialize;
use sqlx::{Row as _, any::AnyRow};
use utoipa::ToSchema;

use super::{KIND_EVENT, KIND_REFUSED};
use crate::{database::Database, statement::Statement, time};

/// Records that are compared in one statement. A filter without an index reads many of them, so a
/// search stops after a time and continues with the next page.
const STEP: i64 = 10_000;
const BUDGET: Duration = Duration::from_millis(50);

const COLUMNS: &str = "at, position, kind, level, message, event, request_id, method, path, ip, \
    user_id, status, outcome, guard, code, reason, subject, detail, model, prompt_tokens, \
    completion_tokens, latency_ms, user_agent";

/// What to search for. All conditions apply.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordFilter {
    /// In milliseconds since 1970; the end is not included.
    pub(crate) from: Option<i64>,
    pub(crate) to: Option<i64>,
    pub(crate) kind: Option<RecordKind>,
    /// A part of the texts of a record, in any case.
    pub(crate) search: Option<String>,
    pub(crate) status: Option<(i64, i64)>,
    /// Columns and their values.
    pub(crate) equal: Vec<(&'static str, String)>,
    /// Events with one of these names.
    pub(crate) events: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordKind {
    Requests,
    Refusals,
    Events,
}

/// The time and the position of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecordPosition(pub(crate) i64, pub(crate) i64);

/// The result of a search.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) records: Vec<RecordView>,
    /// Where the search continues; `None` at its end.
    pub(crate) next: Option<RecordPosition>,
}

/// A record as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordView {
    pub(crate) position: i64,
    pub(crate) timestamp: String,
    pub(crate) level: String,
    pub(crate) message: String,
    pub(crate) event: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) ip: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) status: Option<i64>,
    pub(crate) outcome: Option<String>,
    pub(crate) guard: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) detail: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) prompt_tokens: Option<i64>,
    pub(crate) completion_tokens: Option<i64>,
    pub(crate) latency_ms: Option<f64>,
    pub(crate) user_agent: Option<String>,
    #[serde(skip)]
    at: i64,
}

impl RecordFilter {
    /// Up to `limit` records before a position; fewer if the search takes long.
    pub(crate) async fn find(
        &self,
        database: &Database,
        before: Option<RecordPosition>,
        limit: usize,
    ) -> Result<Found, sqlx::Error> {
        let started = Instant::now();
        let mut records: Vec<RecordView> = Vec::new();
        let mut before = before;
        loop {
            let end = match self.is_indexed() {
                true => None,
                false => self.step(database, before).await?,
            };
            let missing = limit + 1 - records.len();
            let mut sql = Statement::new("SELECT ");
            sql.push(COLUMNS)
                .push(" FROM stockade_admin_records WHERE ");
            self.push_indexed(&mut sql, before);
            if let Some(RecordPosition(at, position)) = end {
                sql.push(" AND (at, position) >= (").bind(at).push(", ");
                sql.bind(position).push(")");
            }
            self.push_others(&mut sql);
            sql.push(" ORDER BY at DESC, position DESC LIMIT ")
                .bind(missing as i64);
            let rows = sql.fetch_all(database.pool()).await?;
            for row in &rows {
                records.push(RecordView::from_row(row)?);
            }
            if records.len() > limit {
                records.truncate(limit);
                let next = records.last().map(RecordView::cursor);
                return Ok(Found { records, next });
            }
            match end {
                None => {
                    return Ok(Found {
                        records,
                        next: None,
                    });
                }
                Some(_) if started.elapsed() < BUDGET => before = end,
                Some(_) => return Ok(Found { records, next: end }),
            }
        }
    }

    /// The last record of the next step; `None` if there are fewer.
    async fn step(
        &self,
        database: &Database,
        before: Option<RecordPosition>,
    ) -> Result<Option<RecordPosition>, sqlx::Error> {
        let mut sql = Statement::new("SELECT at, position FROM stockade_admin_records WHERE ");
        self.push_indexed(&mut sql, before);
        sql.push(" ORDER BY at DESC, position DESC LIMIT 1 OFFSET ")
            .bind(STEP - 1);
        let rows = sql.fetch_all(database.pool()).await?;
        let position = |row: &AnyRow| Ok(RecordPosition(row.try_get(0)?, row.try_get(1)?));
        rows.first().map(position).transpose()
    }

    /// The columns with an index on (column, at, position).
    fn indexed(&self) -> impl Iterator<Item = &(&'static str, String)> {
        let is_indexed =
            |column: &str| matches!(column, "user_id" | "ip" | "subject" | "request_id");
        self.equal
            .iter()
            .filter(move |(column, _)| is_indexed(column))
    }

    /// Whether an index finds all records, so that no other record is read.
    fn is_indexed(&self) -> bool {
        let columns = self.indexed().count();
        let kind = usize::from(self.kind_number().is_some());
        let is_plain = self.search.is_none() && self.status.is_none() && self.events.is_empty();
        let is_plain = is_plain && columns == self.equal.len();
        is_plain && columns + kind <= 1 && self.kind != Some(RecordKind::Requests)
    }

    fn kind_number(&self) -> Option<i64> {
        match self.kind {
            Some(RecordKind::Events) => Some(KIND_EVENT),
            Some(RecordKind::Refusals) => Some(KIND_REFUSED),
            Some(RecordKind::Requests) | None => None,
        }
    }

    /// Appends the conditions that an index finds.
    fn push_indexed(&self, sql: &mut Statement, before: Option<RecordPosition>) {
        sql.push("at >= ").bind(self.from.unwrap_or(i64::MIN));
        sql.push(" AND at < ").bind(self.to.unwrap_or(i64::MAX));
        if let Some(RecordPosition(at, position)) = before {
            sql.push(" AND (at, position) < (").bind(at).push(", ");
            sql.bind(position).push(")");
        }
        let mut columns = self.indexed();
        match columns.next() {
            Some((column, value)) => {
                sql.push(" AND ").push(column).push(" = ").bind(value);
            }
            None => {
                if let Some(kind) = self.kind_number() {
                    sql.push(" AND kind = ").bind(kind);
                }
            }
        }
    }

    /// Appends the other conditions.
    fn push_others(&self, sql: &mut Statement) {
        // The first one is a condition of the index, and repeated here.
        for (column, value) in &self.equal {
            sql.push(" AND ").push(column).push(" = ").bind(value);
        }
        match self.kind {
            Some(RecordKind::Requests) => {
                sql.push(" AND kind < ").bind(KIND_EVENT);
            }
            Some(_) | None => {
                if let Some(kind) = self.kind_number() {
                    sql.push(" AND kind = ").bind(kind);
                }
            }
        }
        if let Some((low, high)) = self.status {
            sql.push(" AND status >= ").bind(low);
            sql.push(" AND status <= ").bind(high);
        }
        for (at, event) in self.events.iter().enumerate() {
            sql.push(if at == 0 { " AND event IN (" } else { ", " });
            sql.bind((*event).to_owned());
        }
        sql.push(if self.events.is_empty() { "" } else { ")" });
        if let Some(search) = &self.search {
            let escaped = search
                .to_lowercase()
                .replace('\\', "\\\\")
                .replace('%', "\\%")
                .replace('_', "\\_");
            sql.push(" AND search LIKE ").bind(format!("%{escaped}%"));
            sql.push(" ESCAPE '\\'");
        }
    }
}

impl RecordView {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let at = row.try_get("at")?;
        Ok(Self {
            position: row.try_get("position")?,
            timestamp: time::rfc3339(at),
            level: row.try_get("level")?,
            message: row.try_get("message")?,
            event: row.try_get("event")?,
            request_id: row.try_get("request_id")?,
            method: row.try_get("method")?,
            path: row.try_get("path")?,
            ip: row.try_get("ip")?,
            user: row.try_get("user_id")?,
            status: row.try_get("status")?,
            outcome: row.try_get("outcome")?,
            guard: row.try_get("guard")?,
            code: row.try_get("code")?,
            reason: row.try_get("reason")?,
            subject: row.try_get("subject")?,
            detail: row.try_get("detail")?,
            model: row.try_get("model")?,
            prompt_tokens: row.try_get("prompt_tokens")?,
            completion_tokens: row.try_get("completion_tokens")?,
            latency_ms: row.try_get("latency_ms")?,
            user_agent: row.try_get("user_agent")?,
            at,
        })
    }

    fn cursor(&self) -> RecordPosition {
        RecordPosition(self.at, self.position)
    }
}
