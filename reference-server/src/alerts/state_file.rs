//! What survives a restart, in a file that is replaced atomically.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::{Message, ledger::Entry, source::Position};
use crate::StartError;

/// The shortest time between two writes that only change the position, in seconds.
const POSITION_INTERVAL: u64 = 10;

/// The messages for each destination.
pub(super) type Queues = BTreeMap<String, Vec<Message>>;

/// The content of the file.
#[derive(Default, Deserialize)]
pub(super) struct Saved {
    pub(super) position: Option<Position>,
    pub(super) ledger: Vec<Entry>,
    pub(super) queues: Queues,
}

/// The content of the file, to be written.
#[derive(Serialize)]
pub(super) struct State<'s> {
    pub(super) position: Option<Position>,
    pub(super) ledger: &'s [Entry],
    pub(super) queues: &'s Queues,
}

/// The file.
pub(super) struct StateFile {
    path: PathBuf,
    /// What was last written: the position, and the rest as JSON.
    position: Option<Position>,
    rest: String,
    written_at: u64,
    is_failing: bool,
}

impl StateFile {
    /// Reads the file, and checks that it can be replaced.
    ///
    /// # Errors
    /// Returns an error if that is not so.
    pub(super) fn open(path: &Path) -> Result<(Self, Saved), StartError> {
        let failed = |what: &str, error: &io::Error| {
            StartError::new(format!(
                "alerts.state_file: cannot {what} {}: {error}; set it to a path in a folder that \
                 the server may write",
                path.display()
            ))
        };
        let saved = match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                tracing::error!(
                    path = %path.display(), %error,
                    "the state of alerts is damaged; earlier events are not reported"
                );
                Saved::default()
            }),
            Err(error) if error.kind() == ErrorKind::NotFound => Saved::default(),
            Err(error) => return Err(failed("read", &error)),
        };
        let file = Self {
            path: path.to_owned(),
            position: None,
            rest: String::new(),
            written_at: 0,
            is_failing: false,
        };
        let state = State {
            position: saved.position.clone(),
            ledger: &saved.ledger,
            queues: &saved.queues,
        };
        match file.replace(&state) {
            Ok(()) => Ok((file, saved)),
            Err(error) => Err(failed("write", &error)),
        }
    }

    /// Writes the state if it has changed. A failure is logged once, and repeated.
    pub(super) fn write(&mut self, state: &State<'_>, now: u64) {
        // A list of structures with texts and numbers.
        let rest = serde_json::to_string(&(state.ledger, state.queues)).unwrap_or_default();
        let is_moved = state.position != self.position;
        let is_time = now.saturating_sub(self.written_at) >= POSITION_INTERVAL;
        if rest == self.rest && !(is_moved && is_time) {
            return;
        }
        match self.replace(state) {
            Ok(()) => {
                self.rest = rest;
                self.position.clone_from(&state.position);
                self.written_at = now;
                self.is_failing = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!(
                        path = %self.path.display(), %error,
                        "the state of alerts cannot be written; after a restart, alerts are \
                         repeated"
                    );
                }
            }
        }
    }

    fn replace(&self, state: &State<'_>) -> io::Result<()> {
        let folder = match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        // Only its owner can read it.
        let mut file = NamedTempFile::new_in(folder)?;
        serde_json::to_writer(&mut file, state)?;
        file.flush()?;
        file.as_file().sync_all()?;
        file.persist(&self.path)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(queues: &Queues) -> State<'_> {
        State {
            position: None,
            ledger: &[],
            queues,
        }
    }

    #[test]
    fn keeps_the_queues() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.json");
        let (mut file, saved) = StateFile::open(&path).unwrap();
        assert!(saved.queues.is_empty());
        let message = Message::test("host", 1);
        let queues = Queues::from([("webhook".to_owned(), vec![message.clone()])]);
        file.write(&state(&queues), 1);
        let (_, saved) = StateFile::open(&path).unwrap();
        assert_eq!(saved.queues["webhook"], [message]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn starts_again_after_a_damage_and_refuses_a_folder_that_cannot_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.json");
        fs::write(&path, "{").unwrap();
        let (_, saved) = StateFile::open(&path).unwrap();
        assert!(saved.queues.is_empty());
        let missing = folder.path().join("no/alerts.json");
        let error = StateFile::open(&missing).err().unwrap().to_string();
        assert!(
            error.starts_with("alerts.state_file: cannot write"),
            "{error}"
        );
    }
}
