//! Measures each list of the administration with 100,000 keys, 1,000,000 rows of usage and
//! 1,000,000 records.
//!
//! ```sh
//! cargo run --release -p stockade-admin --example admin-lists
//! cargo run --release -p stockade-admin --example admin-lists postgres://USER@HOST/DATABASE
//! ```

#![allow(clippy::print_stdout, reason = "a report")]

use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Body};
use http::{Request, header};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use stockade_admin::{Admin, AdminConfig, AdminStore};
use stockade_audit::{AuditLog, Journal, Overflow, WriterSink};
use stockade_sqlx::SqlKeyStore;
use tower::ServiceExt as _;

const KEYS: u64 = 100_000;
const RECORDS: u64 = 1_000_000;
/// By key and model, for 10 days; rows of other scopes come on top.
const DAYS: u64 = 10;
const DAY: i64 = 24 * 60 * 60 * 1_000;
const TIMES: usize = 50;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main]
async fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = format!("sqlite:{}/admin.db", folder.path().display());
    let url = std::env::args().nth(1).unwrap_or(file);
    let mut config = AdminConfig::default();
    config.database = url.as_str().into();
    let store = AdminStore::open(config).await?;
    let now = jiff::Timestamp::now().as_millisecond();
    fill(&url, now).await?;
    let keys = key_store(&format!("sqlite:{}/keys.db", folder.path().display())).await?;
    let sink = WriterSink::new(std::io::sink());
    let audit = AuditLog::new(Journal::builder(sink, Overflow::DropAndCount).start()?);
    let admin = Admin::builder(store, audit).keys(Arc::new(keys)).build();
    let client = Client::new(&admin).await?;
    let from = jiff::Timestamp::from_millisecond(now - 9 * DAY)?;
    let used = jiff::Timestamp::from_millisecond(now - DAY)?;
    for path in [
        "keys?limit=50".to_owned(),
        "keys?limit=500".to_owned(),
        "keys?search=key-1099999".to_owned(),
        "keys?search=nothing&state=expired".to_owned(),
        "keys/key-1050000".to_owned(),
        format!("usage?from={from}"),
        format!("usage?from={from}&by=day"),
        format!("usage?from={from}&group_by=key"),
        format!("usage?from={from}&group_by=key&limit=500"),
        format!("usage?from={from}&group_by=key_model&by=day"),
        format!("usage?from={from}&group_by=model"),
        format!("usage?from={from}&group_by=key&model=model-1"),
        format!("keys/key-1050000/usage?from={from}"),
        "overview".to_owned(),
        "audit".to_owned(),
        "audit?limit=500".to_owned(),
        "audit?user=key-1000007".to_owned(),
        "audit?ip=10.0.0.7&status=200".to_owned(),
        "audit?kind=refusals".to_owned(),
        "audit?kind=events".to_owned(),
        "audit?status=404".to_owned(),
        "audit?search=curl".to_owned(),
        "audit?search=nothing".to_owned(),
        format!("audit?to={used}"),
    ] {
        client.measure(&path).await?;
    }
    Ok(())
}

/// Fills the tables of usage and records.
async fn fill(url: &str, now: i64) -> Result<()> {
    let mut database = AnyConnection::connect(url).await?;
    let today = now - now % DAY;
    let zeros = vec!["0"; 13].join(", ");
    let columns = "requests, errors, refused, prompt_tokens, completion_tokens, priced, cost, \
                   l0, l1, l2, l3, l4, l5, l6, l7, l8, l9, l10, l11, l12, l13, l14";
    let sums = columns
        .split(", ")
        .map(|name| format!("CAST(sum({name}) AS BIGINT)"));
    let sums = sums.collect::<Vec<_>>().join(", ");
    let count = KEYS * DAYS;
    let usage = "INSERT INTO stockade_admin_usage (scope, period, key_id, model, start, ";
    let counted = format!(
        "{usage}{columns}) WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE \
         i < {count} - 1) SELECT 3, 1, 'key-' || (1000000 + i / {DAYS}), 'model-' || (i % 7), \
         {today} - (i % {DAYS}) * {DAY}, 100, 1, 2, 5000, 3000, 0, 0, 90, 10, {zeros} FROM n"
    );
    let by = |scope: u8, key: &str, model: &str, group: &str| {
        format!(
            "{usage}{columns}) SELECT {scope}, 1, {key}, {model}, start, {sums} FROM \
             stockade_admin_usage WHERE scope = 3 GROUP BY {group}"
        )
    };
    let records = format!(
        "INSERT INTO stockade_admin_records (at, position, kind, level, message, event, \
         request_id, method, path, ip, user_id, status, outcome, guard, code, reason, subject, \
         model, prompt_tokens, completion_tokens, latency_ms, user_agent, search) \
         WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {RECORDS} - 1) \
         SELECT {now} - i * 1000, {RECORDS} - i, CASE WHEN i % 5000 = 0 THEN 2 WHEN i % 50 = 0 \
         THEN 1 ELSE 0 END, 'info', 'request completed', CASE WHEN i % 5000 = 0 THEN \
         'key_changed' END, 'request-' || i, 'POST', '/v1/chat/completions', '10.0.0.' || \
         (i % 200), 'key-' || (1000000 + i % {KEYS}), CASE WHEN i % 50 = 0 THEN 429 WHEN \
         i % 100000 = 7 THEN 404 ELSE 200 END, 'completed', CASE WHEN i % 50 = 0 THEN \
         'rate_limit' END, CASE WHEN i % 50 = 0 THEN 'RATE_LIMITED' END, NULL, NULL, \
         'model-' || (i % 7), 50, 30, 12.5, 'python-httpx/0.28', 'request completed request-' || i \
         || ' /v1/chat/completions 10.0.0.' || (i % 200) || ' key-' || (1000000 + i % {KEYS}) || \
         CASE WHEN i % 100 = 3 THEN ' curl/8' ELSE ' python-httpx/0.28' END FROM n"
    );
    for statement in [
        counted,
        by(1, "key_id", "''", "key_id, start"),
        by(2, "''", "model", "model, start"),
        by(0, "''", "''", "start"),
        records,
        "ANALYZE".to_owned(),
    ] {
        let started = Instant::now();
        // Made of constants and numbers.
        let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut database);
        let rows = done.await?.rows_affected();
        println!("filled {rows} rows in {:.1?}", started.elapsed());
    }
    database.close().await?;
    Ok(())
}

/// A key store with all keys, in a file of its own.
async fn key_store(url: &str) -> Result<SqlKeyStore> {
    drop(SqlKeyStore::connect_static(url).await?);
    let mut database = AnyConnection::connect(url).await?;
    let keys = format!(
        "INSERT INTO stockade_keys (id, hash, scopes, quotas, networks, metadata, owner) WITH \
         RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {KEYS} - 1) SELECT \
         'key-' || (1000000 + i), 'sha256:' || lower(hex(randomblob(32))), '[\"chat:write\"]', \
         '{{}}', '[]', '{{}}', 'owner-' || (i % 1000) || '@example.com' FROM n"
    );
    sqlx::raw_sql(AssertSqlSafe(keys))
        .execute(&mut database)
        .await?;
    database.close().await?;
    Ok(SqlKeyStore::connect(url).await?)
}

/// A user who is logged in.
struct Client {
    router: Router,
    cookie: String,
}

impl Client {
    async fn new(admin: &Admin) -> Result<Self> {
        let token = admin.setup_token().await?.ok_or("the database has users")?;
        let router = admin.router();
        let body = serde_json::json!({
            "token": token, "username": "measure", "password": "a long password of a measurement",
        });
        let request = Request::post("/admin/v1/setup")
            .header(header::HOST, "localhost")
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_string()))?;
        let response = router.clone().oneshot(request).await?;
        let cookie = response
            .headers()
            .get(header::SET_COOKIE)
            .ok_or("no cookie")?;
        let cookie = cookie
            .to_str()?
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        Ok(Self { router, cookie })
    }

    /// Prints the first time, the median and the 99th percentile of a list.
    async fn measure(&self, path: &str) -> Result<()> {
        let mut times = Vec::with_capacity(TIMES);
        let mut bytes = 0;
        for _ in 0..=TIMES {
            let request = Request::get(format!("/admin/v1/{path}"))
                .header(header::HOST, "localhost")
                .header(header::COOKIE, &self.cookie)
                .body(Body::empty())?;
            let started = Instant::now();
            let response = self.router.clone().oneshot(request).await?;
            if !response.status().is_success() {
                return Err(format!("{path}: {}", response.status()).into());
            }
            bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
                .await?
                .len();
            times.push(started.elapsed());
        }
        let first = times.remove(0);
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        let millis = |time: Duration| time.as_secs_f64() * 1_000.0;
        println!(
            "{:8.1} ms first, {:6.1} ms p50, {:6.1} ms p99, {bytes:7} bytes  {path}",
            millis(first),
            millis(at(50)),
            millis(at(99)),
        );
        Ok(())
    }
}
