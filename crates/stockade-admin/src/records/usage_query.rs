//! Queries of usage.

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, any::AnyRow};
use utoipa::ToSchema;

use super::{BUCKETS, COUNTERS, Counters, Latencies, Period, Scope};
use crate::{database::Database, statement::Statement, time};

const LATENCIES: [&str; BUCKETS] = [
    "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "l8", "l9", "l10", "l11", "l12", "l13", "l14",
];

/// What the rows of a query are grouped by, and which rows are summed.
#[derive(Clone, Debug)]
pub(crate) struct UsageQuery {
    /// Rows whose period begins in this range, in milliseconds since 1970.
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) by_key: bool,
    pub(crate) by_model: bool,
    /// One row for each period.
    pub(crate) by_period: bool,
    pub(crate) period: Period,
    pub(crate) key: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) after: Option<UsagePosition>,
    pub(crate) limit: usize,
}

/// The position of a row: its key, its model and its start. Rows are in this order.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct UsagePosition(String, String, i64);

/// A row as the API shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// `null` if the rows are not by key, or the requests had none.
    key: Option<String>,
    model: Option<String>,
    /// The start of the period.
    time: Option<String>,
    requests: u64,
    errors: u64,
    refused: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    /// `null` if no model of the row has a price.
    cost: Option<f64>,
    latency_p50_ms: Option<f64>,
    latency_p95_ms: Option<f64>,
    latency_p99_ms: Option<f64>,
    #[serde(skip)]
    pub(crate) position: UsagePosition,
}

impl UsageQuery {
    /// Up to `limit` rows.
    pub(crate) async fn rows(&self, database: &Database) -> Result<Vec<UsageView>, sqlx::Error> {
        let rows = self.statement().fetch_all(database.pool()).await?;
        rows.iter().map(|row| self.view(row)).collect()
    }

    fn scope(&self) -> Scope {
        let by_key = self.by_key || self.key.is_some();
        let by_model = self.by_model || self.model.is_some();
        match (by_key, by_model) {
            (false, false) => Scope::Total,
            (true, false) => Scope::Key,
            (false, true) => Scope::Model,
            (true, true) => Scope::KeyModel,
        }
    }

    /// The columns of the groups.
    fn groups(&self) -> Vec<&'static str> {
        let groups = [
            (self.by_key, "key_id"),
            (self.by_model, "model"),
            (self.by_period, "start"),
        ];
        let groups = groups.into_iter().filter(|(used, _)| *used);
        groups.map(|(_, column)| column).collect()
    }

    fn statement(&self) -> Statement {
        let groups = self.groups();
        let mut sql = Statement::new("SELECT ");
        for column in &groups {
            sql.push(column).push(", ");
        }
        for (at, column) in COUNTERS.into_iter().chain(LATENCIES).enumerate() {
            // PostgreSQL sums to a type that has no size.
            sql.push(if at == 0 { "" } else { ", " });
            sql.push("CAST(sum(")
                .push(column)
                .push(") AS BIGINT) AS ")
                .push(column);
        }
        sql.push(" FROM stockade_admin_usage WHERE scope = ")
            .bind(self.scope() as i64);
        sql.push(" AND period = ").bind(self.period as i64);
        sql.push(" AND start >= ")
            .bind(self.period.start(self.from));
        sql.push(" AND start < ").bind(self.to);
        if let Some(key) = &self.key {
            sql.push(" AND key_id = ").bind(key);
        }
        if let Some(model) = &self.model {
            sql.push(" AND model = ").bind(model);
        }
        if let Some(UsagePosition(key, model, start)) = &self.after {
            self.push_after(&mut sql, &groups, key, model, *start);
        }
        for (at, column) in groups.iter().enumerate() {
            sql.push(if at == 0 { " GROUP BY " } else { ", " })
                .push(column);
        }
        if groups.is_empty() {
            sql.push(" HAVING count(*) > 0");
        }
        for (at, column) in groups.iter().enumerate() {
            sql.push(if at == 0 { " ORDER BY " } else { ", " })
                .push(column);
        }
        sql.push(" LIMIT ").bind(self.limit as i64);
        sql
    }

    /// Appends that the groups come after a position.
    fn push_after(
        &self,
        sql: &mut Statement,
        groups: &[&'static str],
        key: &String,
        model: &String,
        start: i64,
    ) {
        for (at, column) in groups.iter().enumerate() {
            sql.push(if at == 0 { " AND (" } else { ", " }).push(column);
        }
        for (at, column) in groups.iter().enumerate() {
            sql.push(if at == 0 { ") > (" } else { ", " });
            match *column {
                "key_id" => sql.bind(key),
                "model" => sql.bind(model),
                _ => sql.bind(start),
            };
        }
        sql.push(if groups.is_empty() { "" } else { ")" });
    }

    fn view(&self, row: &AnyRow) -> Result<UsageView, sqlx::Error> {
        let number = |name: &str| row.try_get::<i64, _>(name).map(i64::unsigned_abs);
        let text = |used: bool, name: &str| match used {
            true => row.try_get::<String, _>(name).map(Some),
            false => Ok(None),
        };
        let key = text(self.by_key, "key_id")?.or_else(|| self.key.clone());
        let model = text(self.by_model, "model")?.or_else(|| self.model.clone());
        let start = match self.by_period {
            true => row.try_get("start")?,
            false => 0,
        };
        let mut latencies = Latencies::default();
        for (bucket, name) in latencies.0.iter_mut().zip(LATENCIES) {
            *bucket = number(name)?;
        }
        let counters = Counters {
            requests: number("requests")?,
            errors: number("errors")?,
            refused: number("refused")?,
            prompt_tokens: number("prompt_tokens")?,
            completion_tokens: number("completion_tokens")?,
            priced: number("priced")?,
            cost: number("cost")?,
            latencies,
        };
        let position = UsagePosition(
            key.clone().unwrap_or_default(),
            model.clone().unwrap_or_default(),
            start,
        );
        Ok(UsageView {
            key: key.filter(|key| !key.is_empty()),
            model: model.filter(|model| !model.is_empty()),
            time: self.by_period.then(|| time::rfc3339(start)),
            requests: counters.requests,
            errors: counters.errors,
            refused: counters.refused,
            prompt_tokens: counters.prompt_tokens,
            completion_tokens: counters.completion_tokens,
            cost: (counters.priced > 0).then_some(counters.cost as f64 / 1e9),
            latency_p50_ms: latencies.quantile(0.5),
            latency_p95_ms: latencies.quantile(0.95),
            latency_p99_ms: latencies.quantile(0.99),
            position,
        })
    }
}
