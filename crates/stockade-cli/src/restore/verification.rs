//! Verifies the databases and the logs of a backup.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use stockade_audit::{ChainKey, FaultKind, Report, Verifier};
use stockade_sqlx::sqlite_faults;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::reader::{self, damaged};
use crate::{
    CliError,
    audit::verify::VerifyReport,
    backup::manifest::{Entry, Kind, Manifest},
    escape::escape,
    output::{self, ERROR, SUCCESS, plural},
};

/// The setting of the key that seals logs.
const KEY: &str = "audit.key_file";

/// The maximum size of a key or a head.
const MAX_SMALL: u64 = 64 << 10;

/// What is known so far.
pub(super) struct Verification {
    key: Option<ChainKey>,
    /// The head of the log that follows, by its setting.
    head: Option<(String, String)>,
    logs: Vec<Log>,
    databases: Vec<(String, PathBuf)>,
    /// Copies of the databases, which SQLite reads in any order.
    copies: TempDir,
}

/// A log whose files are read one after the other.
struct Log {
    setting: String,
    verifier: Verifier,
    has_head: bool,
    paths: Vec<PathBuf>,
    /// The number of lines of the last file.
    lines: u64,
}

impl Verification {
    pub(super) fn new() -> Result<Self, CliError> {
        Ok(Self {
            key: None,
            head: None,
            logs: Vec::new(),
            databases: Vec::new(),
            copies: TempDir::with_prefix("stockade-restore-").map_err(|error| no_copy(&error))?,
        })
    }

    /// Reads a file of the backup.
    pub(super) fn file(
        &mut self,
        manifest: &Manifest,
        entry: &Entry,
        contents: &mut dyn Read,
    ) -> Result<(), CliError> {
        match entry.kind {
            Kind::File if entry.settings.iter().any(|setting| setting == KEY) => {
                let mut secret = Zeroizing::new(Vec::with_capacity(MAX_SMALL as usize));
                let read = contents.take(MAX_SMALL).read_to_end(&mut secret);
                read.map_err(|error| damaged(&error))?;
                let id = manifest.chain_key_id.as_deref().unwrap_or("1");
                // As servers read it. A backup is not damaged by a key that they refuse.
                self.key = ChainKey::new(id, secret.trim_ascii_end()).ok();
            }
            Kind::File => {}
            Kind::Head => {
                let mut head = Vec::new();
                let read = contents.take(MAX_SMALL).read_to_end(&mut head);
                read.map_err(|error| damaged(&error))?;
                let head = String::from_utf8_lossy(&head).into_owned();
                self.head = Some((entry.settings.join(", "), head));
            }
            Kind::Log => self.log(entry, contents)?,
            Kind::Sqlite => {
                let path = self.copies.path().join(self.databases.len().to_string());
                let mut file = File::create_new(&path).map_err(|error| no_copy(&error))?;
                reader::copy(contents, &mut file, no_copy)?;
                self.databases.push((entry.original(), path));
            }
        }
        Ok(())
    }

    fn log(&mut self, entry: &Entry, contents: &mut dyn Read) -> Result<(), CliError> {
        let setting = entry.settings.join(", ");
        if self.logs.last().is_none_or(|log| log.setting != setting) {
            let mut verifier = Verifier::new(self.key.clone());
            let head = self.head.take().filter(|(of, _)| *of == setting);
            if let Some((_, head)) = &head {
                verifier = verifier.head(head);
            }
            self.logs.push(Log {
                setting,
                verifier,
                has_head: head.is_some(),
                paths: Vec::new(),
                lines: 0,
            });
        }
        let Some(log) = self.logs.last_mut() else {
            return Ok(());
        };
        log.paths.push(entry.original().into());
        let mut lines = Lines {
            inner: BufReader::with_capacity(1 << 16, contents),
            count: 0,
        };
        log.verifier
            .read(&mut lines)
            .map_err(|error| damaged(&error))?;
        log.lines = lines.count;
        Ok(())
    }

    /// Reports the findings. Returns whether the databases are sound and no log was changed.
    pub(super) async fn finish(self) -> Result<bool, CliError> {
        let mut is_sound = true;
        for (name, path) in &self.databases {
            let faults = sqlite_faults(path).await.map_err(|error| no_copy(&error))?;
            let name = escape(name);
            match &*faults {
                [] => output::print(format_args!("{SUCCESS}intact{SUCCESS:#}: {name}"))?,
                [first, ..] => {
                    is_sound = false;
                    let first = escape(first);
                    output::print(format_args!("{ERROR}DAMAGED{ERROR:#}: {name}: {first}"))?;
                    output::help("use an older backup, or repair it with `sqlite3 FILE .recover`");
                }
            }
        }
        for log in self.logs {
            is_sound &= log.report(self.key.is_some())?;
        }
        Ok(is_sound)
    }
}

impl Log {
    /// Reports whether the log is as it was written. Returns whether no change was found.
    fn report(self, has_key: bool) -> Result<bool, CliError> {
        let name = escape(&self.setting);
        if !has_key {
            output::note(format_args!(
                "{name}: not verified, because the backup has no {KEY}."
            ));
            return Ok(true);
        }
        let report = self.verifier.finish();
        if let Some(lines) = open_end(&report, self.paths.len(), self.lines) {
            let lines = plural(lines, "line");
            output::print(format_args!(
                "{SUCCESS}intact{SUCCESS:#}: {name}, up to the last {lines}, whose seal was not \
                 written yet"
            ))?;
            return Ok(true);
        }
        if is_of_other_keys(&report) {
            output::note(format_args!(
                "{name}: not verified, because an earlier key sealed a part of it. Unpack the \
                 backup, and verify the log with all keys: `stockade audit verify`."
            ));
            return Ok(true);
        }
        output::print(format_args!("{name}:"))?;
        let paths: Vec<&Path> = self.paths.iter().map(PathBuf::as_path).collect();
        VerifyReport::new(&report, &paths, self.has_head).report(false)?;
        Ok(report.is_intact())
    }
}

/// Whether the only faults are that the backup lacks the keys of a part of the log.
fn is_of_other_keys(report: &Report) -> bool {
    let kinds = || report.faults.iter().map(|fault| &fault.kind);
    let is_unknown = |kind: &FaultKind| matches!(kind, FaultKind::UnknownKey(_));
    // The key of the head is one of them.
    let is_head = |kind: &FaultKind| matches!(kind, FaultKind::ForgedHead);
    kinds().any(is_unknown) && kinds().all(|kind| is_unknown(kind) || is_head(kind))
}

/// The number of lines at the end of a log in use whose seal was not written yet, if that is the
/// only fault.
fn open_end(report: &Report, files: usize, lines_of_last: u64) -> Option<u64> {
    let [fault] = &*report.faults else {
        return None;
    };
    let FaultKind::Unsealed { lines } = fault.kind else {
        return None;
    };
    let is_last = fault.file == files && fault.line + lines == lines_of_last + 1;
    (is_last && report.fault_count == 1 && report.batches > 0).then_some(lines)
}

/// Counts lines.
struct Lines<R> {
    inner: R,
    count: u64,
}

impl<R> Read for Lines<R>
where
    R: BufRead,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.count += count(&buffer[..read]);
        Ok(read)
    }
}

impl<R> BufRead for Lines<R>
where
    R: BufRead,
{
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        if let Ok(buffer) = self.inner.fill_buf() {
            self.count += count(&buffer[..amount]);
        }
        self.inner.consume(amount);
    }
}

fn count(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|byte| **byte == b'\n').count() as u64
}

fn no_copy(error: &io::Error) -> CliError {
    CliError::failed(format_args!("cannot check the copy of a database: {error}"))
        .with_help("set TMPDIR to a folder on a disk with enough space")
}
