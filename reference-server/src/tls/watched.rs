//! A certificate that follows its files.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockade_watch::{FileVersions, FileWatch, SourceHealth};

use super::{Identity, SharedTls};
use crate::{StartError, TlsConfig};

/// TLS whose certificate is read again when its files change. Clones share it.
#[derive(Clone)]
pub(crate) struct WatchedTls {
    active: ActiveTls,
    health: SourceHealth,
    /// Follows the files as long as a clone is there.
    watch: Arc<Mutex<FileWatch>>,
}

/// The certificate in force, and the files that it is to come from.
#[derive(Clone)]
struct ActiveTls {
    tls: SharedTls,
    files: Arc<Mutex<TlsConfig>>,
}

impl WatchedTls {
    /// Reads the files, and follows them from now on.
    ///
    /// # Errors
    /// As [`Identity::read`], and when no thread can be started.
    pub(crate) fn open(files: &TlsConfig) -> Result<Self, StartError> {
        // Before the first reading, so that no change is lost.
        let versions = Self::versions(files);
        let tls = SharedTls::new(Identity::read(files)?);
        let health = SourceHealth::new("server.tls");
        let active = ActiveTls {
            tls,
            files: Arc::new(Mutex::new(files.clone())),
        };
        let watch = active.watch(files, versions, health.clone())?;
        Ok(Self {
            active,
            health,
            watch: Arc::new(Mutex::new(watch)),
        })
    }

    /// The state of the files now.
    pub(crate) fn versions(files: &TlsConfig) -> FileVersions {
        FileVersions::of([&files.certificate_file, &files.key_file])
    }

    pub(crate) fn tls(&self) -> &SharedTls {
        &self.active.tls
    }

    /// How the files fare.
    pub(crate) fn health(&self) -> SourceHealth {
        self.health.clone()
    }

    /// Shows this certificate, and follows these files if they are not the ones before.
    ///
    /// # Errors
    /// When no thread can be started; then nothing is changed.
    pub(crate) fn replace(
        &self,
        files: &TlsConfig,
        versions: FileVersions,
        identity: Identity,
    ) -> Result<(), StartError> {
        let mut current = self.active.files();
        if *current != *files {
            let watch = self.active.watch(files, versions, self.health.clone())?;
            // Nothing panics while it is held.
            *self.watch.lock().unwrap_or_else(PoisonError::into_inner) = watch;
            files.clone_into(&mut current);
        }
        self.active.tls.set(identity);
        self.health.succeeded();
        Ok(())
    }
}

impl ActiveTls {
    fn watch(
        &self,
        files: &TlsConfig,
        versions: FileVersions,
        health: SourceHealth,
    ) -> Result<FileWatch, StartError> {
        let (active, watched) = (self.clone(), files.clone());
        let watch = FileWatch::start(versions, health, move || {
            let identity = Identity::read(&watched)?;
            // A watch of files that were replaced meanwhile may still run.
            let current = active.files();
            if *current == watched {
                active.tls.set(identity);
            }
            Ok::<_, StartError>(())
        });
        watch.map_err(|error| StartError::context("following server.tls", &error))
    }

    fn files(&self) -> MutexGuard<'_, TlsConfig> {
        // Nothing panics while it is held.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
