//! Replaces records of a file.

use std::{
    fs::{self, File, Metadata},
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use stockade_audit::ChainKey;
use stockade_core::clock::Timestamp;
use tempfile::NamedTempFile;

use super::subject::Subject;
use crate::{
    CliError,
    audit::log::{parse_record, unreadable},
    keys::key_file::{folder_of, sync_folder},
};

/// The number of records of a file that can be forgotten.
pub(super) fn count(path: &Path, subject: &Subject) -> Result<u64, CliError> {
    let counted = || {
        let mut count = 0;
        for_each_line(&File::open(path)?, |line, _| {
            count += u64::from(matches(subject, line));
            Ok(())
        })?;
        Ok(count)
    };
    counted().map_err(|error| unreadable(path, &error))
}

/// Replaces the records in a file, which keeps its owner, its permissions and its time. The change
/// is atomic for readers and crashes. Returns the number of records.
pub(super) fn rewrite(
    path: &Path,
    subject: &Subject,
    key: &ChainKey,
    now: Timestamp,
) -> Result<u64, CliError> {
    let replace = |line: &[u8]| match matches(subject, line) {
        true => key.forget(line, now),
        false => None,
    };
    replaced(path, replace).map_err(|error| {
        CliError::failed(format_args!("cannot rewrite {}: {error}", path.display()))
            .with_help("run the command as the owner of the file, with space for a copy of it")
    })
}

pub(super) fn matches(subject: &Subject, line: &[u8]) -> bool {
    parse_record(line).is_some_and(|record| subject.matches(&record))
}

fn replaced(path: &Path, replace: impl Fn(&[u8]) -> Option<Vec<u8>>) -> io::Result<u64> {
    // A link is kept.
    let path = &fs::canonicalize(path)?;
    let source = File::open(path)?;
    let before = source.metadata()?;
    let target = NamedTempFile::new_in(folder_of(path))?;
    let mut writer = BufWriter::new(target.as_file());
    let mut count = 0;
    for_each_line(&source, |line, end| {
        let new = replace(line);
        count += u64::from(new.is_some());
        writer.write_all(new.as_deref().unwrap_or(line))?;
        writer.write_all(end)
    })?;
    writer.flush()?;
    drop(writer);
    adopt(target.as_file(), &before)?;
    target.as_file().sync_all()?;
    let now = fs::metadata(path)?;
    if now.len() != before.len() || now.modified()? != before.modified()? {
        let text = "it was written to meanwhile; is a server running?";
        return Err(io::Error::other(text));
    }
    target.persist(path)?;
    sync_folder(folder_of(path))?;
    Ok(count)
}

/// Calls a function with each line and its line feed; the last line may have none.
fn for_each_line(
    file: &File,
    mut each: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line)? > 0 {
        let end = line.len() - usize::from(line.ends_with(b"\n"));
        let (text, feed) = line.split_at(end);
        each(text, feed)?;
        line.clear();
    }
    Ok(())
}

/// Gives a file the permissions, the owner and the time of another one.
fn adopt(file: &File, other: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (other.uid(), other.gid()) {
            fchown(file, Some(other.uid()), Some(other.gid()))?;
        }
    }
    file.set_permissions(other.permissions())?;
    file.set_modified(other.modified()?)
}
