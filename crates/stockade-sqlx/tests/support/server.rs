//! The PostgreSQL server started by `scripts/postgres run`.

use std::{
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};

pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run these tests with `scripts/postgres run -- cargo test …`")
    })
}

/// Runs `scripts/postgres` for the test server.
pub(crate) fn postgres(command: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
    let folder = variable("STOCKADE_TEST_POSTGRES_FOLDER");
    let status = Command::new(script)
        .args([command, &folder])
        .status()
        .unwrap();
    assert!(status.success(), "scripts/postgres {command}");
}

/// A new database on the server.
pub(crate) struct Database(String);

impl Database {
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let url = variable("STOCKADE_TEST_POSTGRES_URL");
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let mut connection = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        assert!(url.contains("/postgres?"), "{url}");
        Self(url.replace("/postgres?", &format!("/{name}?")))
    }

    pub(crate) fn url(&self) -> &str {
        &self.0
    }

    /// The URL for another user.
    pub(crate) fn url_of(&self, user: &str) -> String {
        self.0.replace("//stockade@", &format!("//{user}@"))
    }

    /// Edits the database with SQL.
    pub(crate) async fn edit(&self, sql: &'static str) {
        let mut connection = PgConnection::connect(&self.0).await.unwrap();
        sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }
}
