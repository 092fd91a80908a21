//! Downloads one file into the cache, and resumes after a break.
//!
//! 1. The bytes so far are in `<checksum>.part`, and the entity tag of the server that sent them in
//!    `<checksum>.part.etag`. Both outlive the process.
//! 2. A resumed request has `Range` and `If-Range`: a server whose file has changed sends all of it
//!    (RFC 9110, section 13.1.5). A response that does not continue at the right byte, or has
//!    another entity tag, starts the file again.
//! 3. The file gets its name only if its size and its checksum are those that the Hub announced.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use ureq::Response;
use url::Url;

use super::{
    super::checksum,
    client::Client,
    error::HubError,
    listing::{Checksum, RemoteFile},
};

/// The maximum number of attempts in a row that receive nothing.
const MAX_ATTEMPTS: u32 = 5;
/// How many bytes are written between two reports.
const BUFFER: usize = 256 << 10;

/// A download of a file.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) url: Url,
    pub(super) file: &'a RemoteFile,
    /// Its place in the cache.
    pub(super) blob: PathBuf,
    /// The pause after the first failed attempt; it doubles with each one.
    pub(super) pause: Duration,
}

/// How an attempt ended without an error.
enum Attempt {
    Complete,
    /// The response ended early, after this many bytes.
    Broken(u64),
}

impl Download<'_> {
    /// Downloads the file unless it is in the cache. Reports the number of its bytes so far.
    ///
    /// # Errors
    /// Returns an error if the file cannot be downloaded or written, or is not the announced one.
    pub(super) fn run(&self, report: &mut dyn FnMut(u64)) -> Result<(), HubError> {
        let _lock = self.lock()?;
        if self.blob.exists() {
            report(self.file.size);
            return Ok(());
        }
        let mut failures = 0;
        loop {
            let result = self.attempt(report);
            let error = match result {
                Ok(Attempt::Complete) => break,
                Ok(Attempt::Broken(received)) => {
                    if received > 0 {
                        failures = 0;
                    }
                    HubError::Unavailable(format!("the connection broke during {}", self.file.name))
                }
                Err(error @ HubError::Unavailable(_)) => error,
                Err(error) => return Err(error),
            };
            failures += 1;
            if failures >= MAX_ATTEMPTS {
                return Err(error);
            }
            tracing::debug!(
                file = self.file.name,
                error = error.text(),
                "download retry"
            );
            thread::sleep(self.pause * (1 << failures));
        }
        self.verify()?;
        let _ = fs::remove_file(self.etag_file());
        self.publish()
            .map_err(|error| HubError::disk(&self.blob, &error))
    }

    /// Gives the file its name, after its bytes are on the disk: what has the name is not verified
    /// again. A process that was killed may have written them.
    fn publish(&self) -> io::Result<()> {
        OpenOptions::new()
            .append(true)
            .open(self.part())?
            .sync_all()?;
        fs::rename(self.part(), &self.blob)
    }

    fn attempt(&self, report: &mut dyn FnMut(u64)) -> Result<Attempt, HubError> {
        let mut start = self.resume_at();
        if start == self.file.size && self.part().exists() {
            report(start);
            return Ok(Attempt::Complete);
        }
        let range = format!("bytes={start}-");
        let etag = fs::read_to_string(self.etag_file()).ok();
        let mut headers = Vec::new();
        if start > 0 {
            headers.push(("Range", range.as_str()));
            headers.extend(etag.as_deref().map(|etag| ("If-Range", etag)));
        }
        let answer = self.client.get(self.url.clone(), &headers)?;
        self.check_announced(answer.linked_etag.as_deref())?;
        let response = answer.response;
        let sent_etag = response.header("ETag").map(str::to_owned);
        if !self.continues(&response, start, etag.as_deref()) {
            // The whole file follows, or with 206 a part of another one.
            self.restart();
            if response.status() == 206 {
                return Ok(Attempt::Broken(0));
            }
            start = 0;
        }
        if start == 0
            && let Some(etag) = sent_etag.filter(|etag| !etag.starts_with("W/"))
        {
            // Not an error: without it, the checksum finds a changed file.
            let _ = fs::write(self.etag_file(), etag);
        }
        self.receive(response, start, report)
    }

    /// Whether a response continues the file at `start`.
    fn continues(&self, response: &Response, start: u64, etag: Option<&str>) -> bool {
        if response.status() != 206 {
            return start == 0;
        }
        let range = response.header("Content-Range").and_then(content_range);
        let is_same = etag.is_none_or(|etag| {
            let sent = response.header("ETag");
            sent.is_none_or(|sent| sent == etag)
        });
        is_same && range == Some((start, self.file.size))
    }

    fn receive(
        &self,
        response: Response,
        start: u64,
        report: &mut dyn FnMut(u64),
    ) -> Result<Attempt, HubError> {
        let part = self.part();
        let disk = |error| HubError::disk(&part, &error);
        let mut options = OpenOptions::new();
        options.create(true).write(true);
        let options = match start {
            0 => options.truncate(true),
            _ => options.append(true),
        };
        let mut file = options.open(&part).map_err(disk)?;
        let mut body = response.into_reader();
        let mut buffer = vec![0; BUFFER];
        let mut at = start;
        report(at);
        loop {
            let Ok(read) = body.read(&mut buffer) else {
                return Ok(Attempt::Broken(at - start));
            };
            if read == 0 {
                break;
            }
            at += read as u64;
            if at > self.file.size {
                self.restart();
                return Err(HubError::Corrupt(format!(
                    "{} is longer than the {} bytes that the Hub announces",
                    self.file.name, self.file.size
                )));
            }
            file.write_all(&buffer[..read]).map_err(disk)?;
            report(at);
        }
        match at == self.file.size {
            true => Ok(Attempt::Complete),
            false => Ok(Attempt::Broken(at - start)),
        }
    }

    /// Checks what the response announces against the listing.
    fn check_announced(&self, linked_etag: Option<&str>) -> Result<(), HubError> {
        match (&self.file.checksum, linked_etag) {
            (Checksum::Sha256(expected), Some(etag)) if etag.len() == 64 && etag != expected => {
                Err(HubError::Corrupt(format!(
                    "the Hub announces two checksums of {}: {expected} and {etag}",
                    self.file.name
                )))
            }
            _ => Ok(()),
        }
    }

    fn verify(&self) -> Result<(), HubError> {
        let part = self.part();
        let sum = match &self.file.checksum {
            Checksum::Sha256(_) => checksum::sha256(&part, &mut |_| {}),
            Checksum::GitSha1(_) => checksum::git_sha1(&part, self.file.size),
        };
        let sum = sum.map_err(|error| HubError::disk(&part, &error))?;
        let expected = self.file.checksum.text();
        if sum == expected {
            return Ok(());
        }
        self.restart();
        Err(HubError::Corrupt(format!(
            "{} has the checksum {sum}, but the Hub announces {expected}; it was removed, and will \
             be downloaded again",
            self.file.name
        )))
    }

    /// How many bytes are there.
    fn resume_at(&self) -> u64 {
        let length = self.part().metadata().map_or(0, |file| file.len());
        match length <= self.file.size {
            true => length,
            false => {
                self.restart();
                0
            }
        }
    }

    fn restart(&self) {
        let _ = fs::remove_file(self.part());
        let _ = fs::remove_file(self.etag_file());
    }

    /// Waits for another process that downloads the same file.
    fn lock(&self) -> Result<File, HubError> {
        let path = self.sibling("lock");
        let disk = |error| HubError::disk(&path, &error);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(disk)?;
        }
        let file = File::create(&path).map_err(disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let name = &self.file.name;
                tracing::info!(file = name, "waiting for another process that downloads it");
                file.lock().map_err(disk)?;
            }
            Err(TryLockError::Error(error)) => return Err(disk(error)),
        }
        Ok(file)
    }

    fn part(&self) -> PathBuf {
        self.sibling("part")
    }

    fn etag_file(&self) -> PathBuf {
        self.sibling("part.etag")
    }

    fn sibling(&self, extension: &str) -> PathBuf {
        Path::new(&self.blob).with_extension(extension)
    }
}

/// The first byte and the length of the file, of `bytes 5-9/10`.
fn content_range(value: &str) -> Option<(u64, u64)> {
    let (range, length) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.parse().ok()?, length.parse().ok()?))
}
