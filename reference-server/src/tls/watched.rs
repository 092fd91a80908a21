//! A certificate that is reloaded when its files change.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stockade_watch::{FileVersions, FileWatch, SourceHealth};

use super::{Identity, SharedTls};
use crate::{StartError, TlsConfig};

/// TLS whose certificate is reloaded when its files change. Clones share their state.
#[derive(Clone)]
pub(crate) struct WatchedTls {
    active: ActiveTls,
    health: SourceHealth,
    /// Watches the files until the last clone is dropped.
    watch: Arc<Mutex<FileWatch>>,
}

/// The certificate in effect and its files.
#[derive(Clone)]
struct ActiveTls {
    tls: SharedTls,
    files: Arc<Mutex<TlsConfig>>,
}

impl WatchedTls {
    /// Reads the files and starts to watch them.
    ///
    /// # Errors
    /// Returns the errors of [`Identity::read`], and an error if the watcher thread cannot be
    /// started.
    pub(crate) fn open(files: &TlsConfig) -> Result<Self, StartError> {
        // Before the first read, so that no change is missed.
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

    /// The current versions of the files.
    pub(crate) fn versions(files: &TlsConfig) -> FileVersions {
        let pair = [&files.certificate_file, &files.key_file];
        let others = [
            &files.ocsp_file,
            &files.client_ca_file,
            &files.client_crl_file,
        ];
        FileVersions::of(pair.into_iter().chain(others.into_iter().flatten()))
    }

    pub(crate) fn tls(&self) -> &SharedTls {
        &self.active.tls
    }

    /// The health of the files.
    pub(crate) fn health(&self) -> SourceHealth {
        self.health.clone()
    }

    /// Replaces the certificate, and watches `files` from now on.
    ///
    /// # Errors
    /// Returns an error, and changes nothing, if the watcher thread cannot be started.
    pub(crate) fn replace(
        &self,
        files: &TlsConfig,
        versions: FileVersions,
        identity: Identity,
    ) -> Result<(), StartError> {
        let mut current = self.active.files();
        if *current != *files {
            let watch = self.active.watch(files, versions, self.health.clone())?;
            // No code panics while the lock is held.
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
            // The watcher of files that were replaced in the meantime may still run.
            let current = active.files();
            if *current == watched {
                active.tls.set(identity);
            }
            Ok::<_, StartError>(())
        });
        watch.map_err(|error| StartError::context("cannot watch the files of server.tls", &error))
    }

    fn files(&self) -> MutexGuard<'_, TlsConfig> {
        // No code panics while the lock is held.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
