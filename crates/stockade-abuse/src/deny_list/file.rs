//! Reads, appends to and replaces the file, safely in case of a crash.

use std::{
    collections::HashMap,
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use stockade_core::clock::Timestamp;

use super::line::{self, Line};
use crate::{Ban, LineProblem, Offender, SkippedLines};

/// The maximum size of the file.
const MAX_FILE: u64 = 64 * 1024 * 1024;
/// The number of stale lines after which the file may be rewritten.
const MAX_STALE: usize = 64;
/// Precedes a line without its end, as a comment.
const INCOMPLETE: &[u8; 14] = b"# Incomplete: ";

/// The contents of the file.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) bans: Vec<Ban>,
    pub(super) skipped: SkippedLines,
    /// The number of lines with expired bans, or bans that a later line replaces.
    pub(super) stale: usize,
}

/// Identifies a version of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Version {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Version {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            inode,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct DenyFile(PathBuf);

impl DenyFile {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the version of the file; `None` if it is missing.
    pub(super) fn version(&self) -> Option<Version> {
        fs::metadata(&self.0)
            .ok()
            .map(|metadata| Version::of(&metadata))
    }

    /// Reads the file; a missing file is empty.
    pub(super) fn read(&self, now: Timestamp) -> io::Result<Contents> {
        let skipped = SkippedLines::new(self.0.display().to_string());
        Ok(contents(&self.bytes()?, now, skipped))
    }

    fn bytes(&self) -> io::Result<Vec<u8>> {
        let file = match open(OpenOptions::new().read(true), &self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let mut bytes = Vec::new();
        file.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(io::Error::other("the file is larger than 64 MiB"));
        }
        Ok(bytes)
    }

    /// Appends lines for these bans and syncs them.
    pub(super) fn append(&self, bans: &[Ban]) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        let (mut file, is_new) = match open(&mut options, &self.0) {
            // Create the file without following a dangling or planted link.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                (open(options.create_new(true), &self.0)?, true)
            }
            file => (file?, false),
        };
        if !ends_its_line(&mut file)? {
            self.replace(&terminated(self.bytes()?))?;
            file = open(&mut options, &self.0)?;
        }
        // A killed process may have written a part, which ends within a line.
        let lines: String = bans.iter().map(line::write).collect();
        file.write_all(lines.as_bytes())?;
        file.sync_data()?;
        match is_new {
            true => sync_folder(&self.0),
            false => Ok(()),
        }
    }

    /// Rewrites the file without the lines of these offenders and without expired bans. Keeps
    /// comments and lines that cannot be parsed.
    pub(super) fn rewrite(&self, without: &[Offender], now: Timestamp) -> io::Result<()> {
        let bytes = terminated(self.bytes()?);
        let lines = Lines::parse(&bytes);
        let mut kept = Vec::with_capacity(bytes.len());
        for (at, (text, line)) in lines.all.iter().enumerate() {
            let stays = match line {
                Line::Ban(ban) => {
                    !without.contains(&ban.offender)
                        && ban.is_active(now)
                        && lines.is_latest(at, ban)
                }
                Line::Blank | Line::Invalid(_) => true,
            };
            if stays {
                kept.extend_from_slice(text);
                kept.push(b'\n');
            }
        }
        self.replace(&kept)
    }

    /// Replaces the file atomically.
    fn replace(&self, bytes: &[u8]) -> io::Result<()> {
        // Follow a link, so that its target is replaced and not the link.
        let path = match fs::canonicalize(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.0.clone(),
            real => real?,
        };
        // Created with mode 0600.
        let mut new = tempfile::NamedTempFile::new_in(folder(&path))?;
        new.write_all(bytes)?;
        new.as_file().sync_all()?;
        new.persist(&path)?;
        sync_folder(&path)
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes the name of a new or renamed file durable.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(folder(path))?.sync_all()
}

impl Contents {
    pub(super) fn is_stale(&self) -> bool {
        self.stale > MAX_STALE && self.stale > self.bans.len()
    }
}

/// The lines of a file and their parsed form.
struct Lines<'b> {
    all: Vec<(&'b [u8], Line)>,
    /// The index of the last line of each offender, which takes precedence.
    last: HashMap<Offender, usize>,
}

impl<'b> Lines<'b> {
    /// Splits at line ends; the text after the last line end is a line, too.
    fn parse(bytes: &'b [u8]) -> Self {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let texts = bytes.split(|byte| *byte == b'\n');
        let texts = texts.take_while(|_| !bytes.is_empty());
        let all: Vec<_> = texts.map(|text| (text, Line::parse(text))).collect();
        let last = all
            .iter()
            .enumerate()
            .filter_map(|(at, (_, line))| match line {
                Line::Ban(ban) => Some((ban.offender.clone(), at)),
                Line::Blank | Line::Invalid(_) => None,
            });
        Self {
            last: last.collect(),
            all,
        }
    }

    /// Whether no later line is about the same offender.
    fn is_latest(&self, at: usize, ban: &Ban) -> bool {
        self.last.get(&ban.offender) == Some(&at)
    }
}

/// Opens a regular file. Does not block on other files, such as a FIFO.
fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(libc::O_NONBLOCK);
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("not a regular file")),
    }
}

fn contents(bytes: &[u8], now: Timestamp, skipped: SkippedLines) -> Contents {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines = Lines::parse(bytes);
    let mut contents = Contents {
        bans: Vec::new(),
        skipped,
        stale: 0,
    };
    for (at, (_, line)) in lines.all.iter().enumerate() {
        // A truncated address may be a different, valid address, which must not be banned.
        let is_torn = at + 1 == lines.all.len() && !bytes.ends_with(b"\n");
        match line {
            Line::Blank => {}
            Line::Ban(_) if is_torn => {
                contents.skipped.push(at + 1, LineProblem::Unterminated);
            }
            Line::Ban(ban) if ban.is_active(now) && lines.is_latest(at, ban) => {
                contents.bans.push(ban.clone());
            }
            Line::Ban(_) => contents.stale += 1,
            Line::Invalid(problem) => contents.skipped.push(at + 1, *problem),
        }
    }
    contents
}

/// Ends the last line. An incomplete one becomes a comment: without its end, it may be another
/// address, or a temporary ban without its time.
fn terminated(mut bytes: Vec<u8>) -> Vec<u8> {
    if bytes.is_empty() || bytes.ends_with(b"\n") {
        return bytes;
    }
    let start = bytes.iter().rposition(|byte| *byte == b'\n');
    let start = start.map_or(0, |end| end + 1);
    if !matches!(Line::parse(&bytes[start..]), Line::Blank) {
        bytes.splice(start..start, *INCOMPLETE);
    }
    bytes.push(b'\n');
    bytes
}

fn ends_its_line(file: &mut File) -> io::Result<bool> {
    use io::{Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_762_165_800);

    fn read(bytes: &[u8]) -> Contents {
        contents(bytes, NOW, SkippedLines::new("test"))
    }

    fn ban(text: &str) -> Ban {
        Ban {
            offender: text.parse().unwrap(),
            since: NOW,
            until: None,
            reason: "test".into(),
        }
    }

    // D06: a power failure after any byte of the appended lines.
    #[test]
    fn truncated_file_loses_only_the_incomplete_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deny.txt");
        let file = DenyFile::new(&path);
        file.append(&[ban("192.168.1.100")]).unwrap();
        let kept = fs::read(&path).unwrap().len();
        file.append(&[ban("10.11.12.13"), ban("key:other")])
            .unwrap();
        let whole = fs::read(&path).unwrap();
        let allowed = ["192.168.1.100", "10.11.12.13", "key:other"];
        for cut in 0..=whole.len() {
            let contents = read(&whole[..cut]);
            for ban in &contents.bans {
                assert!(
                    allowed.contains(&&*ban.offender.to_string()),
                    "{cut}: {ban:?}"
                );
            }
            assert!(cut < kept || !contents.bans.is_empty(), "{cut}");
            // The next line is not joined with the incomplete one, which bans no other client.
            fs::write(&path, &whole[..cut]).unwrap();
            file.append(&[ban("198.51.100.7")]).unwrap();
            let mut after = file.read(NOW).unwrap();
            let last = after.bans.pop().unwrap();
            assert_eq!(last.offender.to_string(), "198.51.100.7");
            assert_eq!(
                (&after.bans, after.skipped.count()),
                (&contents.bans, 0),
                "{cut}"
            );

            fs::write(&path, &whole[..cut]).unwrap();
            file.rewrite(&[], NOW).unwrap();
            let after = file.read(NOW).unwrap();
            assert_eq!(
                (after.bans, after.skipped.count()),
                (contents.bans, 0),
                "{cut}"
            );
        }
    }

    #[test]
    fn incomplete_line_becomes_a_comment() {
        for (before, after) in [
            ("", ""),
            ("10.0.0.1\n", "10.0.0.1\n"),
            ("10.0.0.1\n10.0.0", "10.0.0.1\n# Incomplete: 10.0.0\n"),
            ("10.0.0.1", "# Incomplete: 10.0.0.1\n"),
            ("# ours", "# ours\n"),
            ("10.0.0.1\n ", "10.0.0.1\n \n"),
        ] {
            let bytes = terminated(before.into());
            assert_eq!(String::from_utf8(bytes).unwrap(), after);
        }
    }

    // D07
    #[test]
    fn counts_invalid_lines_without_banning() {
        let utf16: Vec<u8> = "10.0.0.1\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        for (bytes, bans, bad) in [
            (&b""[..], 0, 0),
            (b"\n\n\n", 0, 0),
            (b"\xef\xbb\xbf10.0.0.1\n", 1, 0),
            (b"10.0.0.1\r\n10.0.0.2\r\n", 2, 0),
            (b"0.0.0.0/0\n::/0\n10.0.0.9-10.0.0.1\nhello\n", 0, 4),
            (b"\0\0\0\n\xff\xff\n", 0, 2),
            (&utf16, 0, 2),
        ] {
            let contents = read(bytes);
            assert_eq!(
                (contents.bans.len(), contents.skipped.count()),
                (bans, bad),
                "{bytes:?}"
            );
        }
        let long = [b"1".repeat(3_000_000), b"\n10.0.0.1\n".to_vec()].concat();
        let contents = read(&long);
        assert_eq!((contents.bans.len(), contents.skipped.count()), (1, 1));
    }

    #[test]
    fn rewrite_keeps_comments_and_invalid_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deny.txt");
        let text = "# ours\n10.0.0.1\n???\n10.0.0.2  # Blocked: x at 2025-01-01 00:00:00; \
                    until 2025-01-01T00:10:00Z\n10.0.0.3\n10.0.0.3  # again\n";
        fs::write(&path, text).unwrap();
        let file = DenyFile::new(&path);
        file.rewrite(&["10.0.0.1".parse().unwrap()], NOW).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "# ours\n???\n10.0.0.3  # again\n"
        );
    }

    // D09
    #[cfg(unix)]
    #[test]
    fn rewrite_keeps_a_link_and_restricts_the_mode() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "10.0.0.1\n").unwrap();
        symlink(&real, &link).unwrap();
        DenyFile::new(&link)
            .rewrite(&["10.0.0.1".parse().unwrap()], NOW)
            .unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"");
        let mode = fs::metadata(&real).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
