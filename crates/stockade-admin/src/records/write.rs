//! Writes a batch in one transaction.

use sqlx::{AssertSqlSafe, Row as _};

use super::{BUCKETS, COUNTERS};
use crate::{database::Database, time};

/// A batch to write.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    /// The process, and the number of its batch.
    pub(super) writer: String,
    pub(super) number: i64,
    /// The number of records.
    pub(super) count: i64,
    /// JSON arrays.
    pub(super) records: String,
    pub(super) usage: String,
}

/// Takes the batch. Nothing is changed if it was written before; a writer that is still writing
/// it in another connection is waited for.
const TAKE: &str = "INSERT INTO stockade_admin_writers (writer, batch, used) VALUES ($1, $2, $3) \
    ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, used = excluded.used \
    WHERE stockade_admin_writers.batch < excluded.batch";
/// Locks the row until the end of the transaction, which serialises writers.
const RESERVE: &str = "UPDATE stockade_admin_positions SET last = last + $1 WHERE id = 1 \
    RETURNING last";

/// The columns of a record after `at` and `position`, with their types in PostgreSQL.
const RECORD: [(&str, &str); 22] = [
    ("kind", "bigint"),
    ("level", "text"),
    ("message", "text"),
    ("event", "text"),
    ("request_id", "text"),
    ("method", "text"),
    ("path", "text"),
    ("ip", "text"),
    ("user_id", "text"),
    ("status", "bigint"),
    ("outcome", "text"),
    ("guard", "text"),
    ("code", "text"),
    ("reason", "text"),
    ("subject", "text"),
    ("detail", "text"),
    ("model", "text"),
    ("prompt_tokens", "bigint"),
    ("completion_tokens", "bigint"),
    ("latency_ms", "double precision"),
    ("user_agent", "text"),
    ("search", "text"),
];

/// Removes records and hours before a time, and processes that ended long ago.
const PRUNE: [&str; 3] = [
    "DELETE FROM stockade_admin_records WHERE at < $1 AND at <= coalesce((SELECT at FROM \
     stockade_admin_records WHERE at < $1 ORDER BY at LIMIT 1 OFFSET 4999), $1)",
    "DELETE FROM stockade_admin_usage WHERE period = 0 AND start < $1",
    "DELETE FROM stockade_admin_writers WHERE used < $1",
];

/// Writes the records and adds the usage, unless that was done before.
pub(super) async fn write(database: &Database, batch: &Batch) -> Result<(), sqlx::Error> {
    let mut transaction = database.begin().await?;
    let taken = sqlx::query(TAKE)
        .bind(&batch.writer)
        .bind(batch.number)
        .bind(time::now())
        .execute(&mut *transaction)
        .await?;
    if taken.rows_affected() == 0 {
        return transaction.rollback().await;
    }
    let row = sqlx::query(RESERVE)
        .bind(batch.count)
        .fetch_one(&mut *transaction)
        .await?;
    let last: i64 = row.try_get(0)?;
    let before = last - batch.count;
    let is_postgres = database.is_postgres();
    // Both statements are made of constants.
    sqlx::query(AssertSqlSafe(insert_records(is_postgres)))
        .bind(&batch.records)
        .bind(before)
        .execute(&mut *transaction)
        .await?;
    sqlx::query(AssertSqlSafe(add_usage(is_postgres)))
        .bind(&batch.usage)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await
}

/// Removes old rows, at most 5,000 records.
pub(super) async fn prune(database: &Database, before: i64) -> Result<(), sqlx::Error> {
    for statement in PRUNE {
        sqlx::query(statement)
            .bind(before)
            .execute(database.pool())
            .await?;
    }
    Ok(())
}

fn insert_records(is_postgres: bool) -> String {
    let names = RECORD.map(|(name, _)| name);
    let columns = names.join(", ");
    let into = format!("INSERT INTO stockade_admin_records (at, position, {columns})");
    match is_postgres {
        true => {
            let types = RECORD
                .map(|(name, kind)| format!("{name} {kind}"))
                .join(", ");
            format!(
                "{into} SELECT at, $2 + number, {columns} FROM json_to_recordset($1::json) \
                 AS batch (at bigint, number bigint, {types})"
            )
        }
        false => format!(
            "{into} SELECT value->>'at', $2 + (value->>'number'), {} FROM json_each($1)",
            values(&names)
        ),
    }
}

fn add_usage(is_postgres: bool) -> String {
    let latencies = (0..BUCKETS).map(|bucket| format!("l{bucket}"));
    let counters: Vec<_> = COUNTERS
        .into_iter()
        .map(str::to_owned)
        .chain(latencies)
        .collect();
    let sums = counters
        .iter()
        .map(|name| format!("{name} = stockade_admin_usage.{name} + excluded.{name}"));
    let sums = sums.collect::<Vec<_>>().join(", ");
    let ids = ["scope", "period", "key_id", "model", "start"];
    let all: Vec<_> = ids
        .into_iter()
        .chain(counters.iter().map(String::as_str))
        .collect();
    let columns = all.join(", ");
    let select = match is_postgres {
        true => {
            let types = all.iter().map(|name| match *name {
                "key_id" | "model" => format!("{name} text"),
                name => format!("{name} bigint"),
            });
            let types = types.collect::<Vec<_>>().join(", ");
            format!("SELECT {columns} FROM json_to_recordset($1::json) AS batch ({types})")
        }
        // The condition separates the parts of the grammar.
        false => format!("SELECT {} FROM json_each($1) WHERE true", values(&all)),
    };
    format!(
        "INSERT INTO stockade_admin_usage ({columns}) {select} \
         ON CONFLICT (scope, period, key_id, model, start) DO UPDATE SET {sums}"
    )
}

fn values(names: &[&str]) -> String {
    let values = names.iter().map(|name| format!("value->>'{name}'"));
    values.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{record::Record, usage::UsageMeter};

    fn batch(number: i64, at: &str) -> Batch {
        let line = |seq| {
            format!(
                r#"{{"timestamp":"{at}","level":"info","message":"m","seq":{seq},"user":"a","status":200,"model":"qwen","latency_ms":12.5,"prompt_tokens":7}}"#
            )
        };
        let records: Vec<_> = (1..=3)
            .filter_map(|seq| Record::parse(&line(seq), seq))
            .collect();
        Batch {
            writer: "w".to_owned(),
            number,
            count: 3,
            usage: UsageMeter::new([].into()).rows(&records),
            records: serde_json::to_string(&records).unwrap(),
        }
    }

    async fn number(database: &Database, statement: &'static str) -> i64 {
        let row = sqlx::query(statement).fetch_one(database.pool()).await;
        row.unwrap().try_get(0).unwrap()
    }

    async fn writes_once(url: &str) {
        const RECORDS: &str = "SELECT count(*) FROM stockade_admin_records";
        const TOKENS: &str = "SELECT CAST(sum(prompt_tokens) AS BIGINT) FROM \
            stockade_admin_usage WHERE scope = 3 AND period = 2 AND key_id = 'a' AND l2 > 0";

        let database = Database::open_with(url, 1).await.unwrap();
        let now = time::rfc3339(time::now());
        let first = batch(1, &now);
        // The journal retries a batch whose commit is unknown.
        for _ in 0..2 {
            write(&database, &first).await.unwrap();
            assert_eq!(number(&database, RECORDS).await, 3);
            assert_eq!(number(&database, TOKENS).await, 21);
        }
        write(&database, &batch(2, &now)).await.unwrap();
        assert_eq!(number(&database, RECORDS).await, 6);
        assert_eq!(number(&database, TOKENS).await, 42);

        write(&database, &batch(3, "2020-01-01T00:00:00Z"))
            .await
            .unwrap();
        assert_eq!(number(&database, RECORDS).await, 9);
        prune(&database, time::now() - 60_000_000).await.unwrap();
        assert_eq!(number(&database, RECORDS).await, 6);
        // Days and months are kept.
        const OLD: &str = "SELECT count(*) FROM stockade_admin_usage WHERE start < 1600000000000";
        assert_eq!(number(&database, OLD).await, 8);
    }

    #[tokio::test]
    async fn writes_a_batch_once_to_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        writes_once(&format!("sqlite:{}/admin.db", folder.path().display())).await;
    }

    #[cfg(feature = "postgres-tests")]
    #[tokio::test]
    async fn writes_a_batch_once_to_postgres() {
        writes_once(&crate::tests::postgres::database().await).await;
    }
}
