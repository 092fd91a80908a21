//! Reads a log in a database, and forgets records of it.

use std::{
    fmt,
    io::{self, BufRead, Read},
};

use super::{connection::TableConnection, table::StoredLine};

/// The number of lines that are read at once.
const CHUNK: i64 = 1_000;

/// A log that a [`SqlSink`](super::SqlSink) writes, for programs that verify it or
/// [forget](stockade_audit::ChainKey::forget) records of it. It blocks the thread, and can be used
/// while the log is written to.
///
/// ```
/// use stockade_audit::{ChainKey, Verifier};
/// use stockade_sqlx::SqlAuditLog;
///
/// fn is_intact(key: ChainKey) -> std::io::Result<bool> {
///     let mut log = SqlAuditLog::open("sqlite:audit.db", "server-1")?;
///     let mut verifier = Verifier::new([key]);
///     if let Some(head) = log.head()? {
///         verifier = verifier.head(&head);
///     }
///     verifier.read(log.reader()?)?;
///     Ok(verifier.finish().is_intact())
/// }
/// ```
pub struct SqlAuditLog {
    connection: TableConnection,
    log: String,
}

impl SqlAuditLog {
    /// Opens the log with this name in `sqlite:PATH` or `postgres://USER:PASSWORD@HOST/DATABASE`.
    ///
    /// # Errors
    /// If the database cannot be used, or has no such log:
    /// [`NotFound`](io::ErrorKind::NotFound). Errors do not contain the URL.
    pub fn open(url: impl Into<String>, log: impl Into<String>) -> io::Result<Self> {
        let mut opened = Self {
            connection: TableConnection::new(url.into())?,
            log: log.into(),
        };
        let log = &opened.log;
        let last = opened
            .connection
            .with_table(async move |table| table.last(log).await)?;
        if last == 0 {
            let text = format!("the database has no audit log {log:?}");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(opened)
    }

    /// The signed end of the log; `None` for a log without a chain.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn head(&mut self) -> io::Result<Option<String>> {
        let log = &self.log;
        self.connection
            .with_table(async move |table| table.head(log).await)
    }

    /// Reads the lines that the log has now, oldest first.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub fn reader(&mut self) -> io::Result<SqlAuditReader<'_>> {
        self.connection
            .with_table(async move |table| table.begin_snapshot().await)?;
        Ok(SqlAuditReader {
            log: self,
            position: 0,
            text: Vec::new(),
            at: 0,
        })
    }

    /// Replaces the lines for which the function returns another one by
    /// [`ChainKey::forget`](stockade_audit::ChainKey::forget), and removes what the columns for
    /// queries have of the records, except their time. Returns the number of lines. The role needs
    /// `UPDATE` on `stockade_audit`.
    ///
    /// # Errors
    /// If the database cannot be read or written; a part of the lines may be replaced then.
    pub fn forget(&mut self, forget: impl Fn(&str) -> Option<String>) -> io::Result<u64> {
        let (mut position, mut count) = (0, 0);
        loop {
            let stored = self.lines(position)?;
            let Some(last) = stored.last() else {
                return Ok(count);
            };
            position = last.position;
            let lines = stored.into_iter().filter_map(|stored| {
                let new = forget(&stored.line)?;
                Some((stored, new))
            });
            let lines: Vec<_> = lines.collect();
            if !lines.is_empty() {
                let log = &self.log;
                count += self
                    .connection
                    .with_table(async move |table| table.forget(log, lines).await)?;
            }
        }
    }

    fn lines(&mut self, after: i64) -> io::Result<Vec<StoredLine>> {
        let log = &self.log;
        self.connection
            .with_table(async move |table| table.lines(log, after, CHUNK).await)
    }
}

impl fmt::Debug for SqlAuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlAuditLog")
            .field("log", &self.log)
            .finish_non_exhaustive()
    }
}

/// The lines of a log at one moment; created by [`SqlAuditLog::reader`].
#[derive(Debug)]
pub struct SqlAuditReader<'l> {
    log: &'l mut SqlAuditLog,
    /// Of the last line that was read.
    position: i64,
    /// Lines with their line feeds, and how much of them was consumed.
    text: Vec<u8>,
    at: usize,
}

impl BufRead for SqlAuditReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            for stored in self.log.lines(self.position)? {
                self.position = stored.position;
                self.text.extend_from_slice(stored.line.as_bytes());
                self.text.push(b'\n');
            }
        }
        Ok(&self.text[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        self.at += amount;
    }
}

impl Read for SqlAuditReader<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(target)?;
        self.consume(read);
        Ok(read)
    }
}

impl Drop for SqlAuditReader<'_> {
    fn drop(&mut self) {
        // Ends the transaction.
        self.log.connection.close();
    }
}
