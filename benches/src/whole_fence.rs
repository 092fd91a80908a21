//! The whole fence, built from a configuration file as a server would.

use std::{fs, mem, path::Path, sync::LazyLock, time::Duration};

use stockade::{Config, Environment, Fence, FenceLayer, Format};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::{Keys, request::PATH};

/// The runtime that fences watch their files on, for the lifetime of the process.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("the system can start a runtime"));

/// The settings that differ between fences.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The limit by address.
    pub by_ip: &'static str,
    /// More lines of the `[audit]` section.
    pub audit: &'static str,
}

impl Settings {
    /// A limit that is never reached.
    pub const UNLIMITED: &'static str = "100000000/day";

    /// Chains the records.
    pub fn chained(self) -> Self {
        Self {
            audit: "key_file = \"audit.key\"\n",
            ..self
        }
    }
}

impl Default for Settings {
    /// A limit that is never reached, and records without a chain.
    fn default() -> Self {
        Self {
            by_ip: Self::UNLIMITED,
            audit: "",
        }
    }
}

/// Key auth, a limit by address and one by key, bans, scopes, a small chat checked as JSON,
/// concurrency, and a record in a file. Its files are in a folder that is deleted with it.
#[derive(Debug)]
pub struct WholeFence {
    fence: Fence,
    _folder: TempDir,
}

impl WholeFence {
    /// A fence that accepts both known keys. From now on this thread may call services
    /// behind it.
    pub fn new(keys: &Keys, settings: Settings) -> Self {
        enter_runtime();
        let folder = tempfile::tempdir().expect("a folder can be created");
        let config = config(folder.path(), keys, settings);
        let fence = RUNTIME.block_on(Fence::from_config(&config));
        Self {
            fence: fence.expect("the configuration is valid"),
            _folder: folder,
        }
    }

    /// The layer.
    pub fn layer(&self) -> FenceLayer {
        self.fence.layer()
    }

    /// Records that were dropped. If there are any, not all work was measured.
    pub fn lost_records(&self) -> u64 {
        let journals = self.fence.audit().journals();
        journals.map(|journal| journal.stats().dropped).sum()
    }
}

impl Drop for WholeFence {
    fn drop(&mut self) {
        for journal in self.fence.audit().journals() {
            // A missing file is created again, so the writer has to end before the folder
            // is deleted. Whether all records arrive does not matter here.
            let _ = journal.shutdown(Duration::from_secs(5));
        }
    }
}

/// Allows this thread to call services that need a runtime: bodies have deadlines.
pub(crate) fn enter_runtime() {
    // It lasts as long as the thread, as it does in a server.
    mem::forget(RUNTIME.enter());
}

fn config(folder: &Path, keys: &Keys, settings: Settings) -> Config {
    let write = |name, text| fs::write(folder.join(name), text).expect("a file can be written");
    write("keys.yaml", keys.file());
    write("audit.key", "0123456789abcdef0123456789abcdef");
    let Settings { by_ip, audit } = settings;
    let text = format!(
        "[auth]\nkeys_file = \"keys.yaml\"\n\
         [[routes]]\npath = \"{PATH}\"\nmethods = \"POST\"\n\
         access = \"chat:write\"\nbody = \"openai-chat\"\n\
         [rate_limit]\nby_ip = \"{by_ip}\"\nby_key = \"{}\"\n\
         [concurrency]\nper_key = 1000\n\
         [audit]\nfile = \"app.log\"\non_overflow = \"drop\"\n{audit}",
        Settings::UNLIMITED
    );
    let mut config =
        Config::parse(&text, Format::Toml, &Environment::default()).expect("a valid file");
    config.resolve_paths(folder);
    config
}
