//! The whole fence, as a configuration makes it.

use std::{fs, mem, path::Path, sync::LazyLock, time::Duration};

use axum::Router;
use stockade::{Config, Environment, Fence, FenceLayer, FenceService, Format};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::Layer;

use crate::{Keys, stacks::router};

/// What fences follow their files with, for as long as the process.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("the system lets us start a runtime"));

/// What stands in a fence's configuration besides what all have.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The limit by address.
    pub by_ip: &'static str,
    /// More lines of `[audit]`.
    pub audit: &'static str,
}

impl Default for Settings {
    /// A limit that nobody reaches, and records without a chain.
    fn default() -> Self {
        Self {
            by_ip: "100000000/day",
            audit: "",
        }
    }
}

/// All of it: a key, a limit by address and one by key, bans, scopes, a small chat judged as
/// JSON, requests at once, and a record in a file. The files are in a folder that goes with
/// it.
#[derive(Debug)]
pub struct WholeFence {
    fence: Fence,
    _folder: TempDir,
}

impl WholeFence {
    /// A fence that takes both known keys. The thread may call services behind it from now
    /// on.
    pub fn new(keys: &Keys, settings: Settings) -> Self {
        enter_runtime();
        let folder = tempfile::tempdir().expect("a folder can be made");
        let config = config(folder.path(), keys, settings);
        let fence = RUNTIME.block_on(Fence::builder(&config).axum().build());
        Self {
            fence: fence.expect("the configuration makes a fence"),
            _folder: folder,
        }
    }

    /// The router behind it.
    pub fn around(&self) -> FenceService<Router> {
        self.layer().layer(router())
    }

    /// The fence, to be put on otherwise.
    pub fn layer(&self) -> FenceLayer {
        self.fence.layer()
    }

    /// Records that found no room. Where there are any, not all work was measured.
    pub fn lost_records(&self) -> u64 {
        let journals = self.fence.audit().journals();
        journals.map(|journal| journal.stats().dropped).sum()
    }
}

impl Drop for WholeFence {
    fn drop(&mut self) {
        for journal in self.fence.audit().journals() {
            // A file that is missed is made anew, so the writer has to end before the folder
            // goes. The records have served; whether all of them arrive is no matter.
            let _ = journal.shutdown(Duration::from_secs(5));
        }
    }
}

/// Lets this thread call what needs a runtime: bodies have deadlines.
pub(crate) fn enter_runtime() {
    // It stays for as long as the thread, as it does in a server.
    mem::forget(RUNTIME.enter());
}

fn config(folder: &Path, keys: &Keys, settings: Settings) -> Config {
    let write = |name, text| fs::write(folder.join(name), text).expect("a file can be written");
    write("keys.yaml", keys.file());
    write("audit.key", "0123456789abcdef0123456789abcdef");
    let Settings { by_ip, audit } = settings;
    let text = format!(
        "[auth]\nkeys_file = \"keys.yaml\"\n\
         [[routes]]\npath = \"/v1/chat/completions\"\nmethods = \"POST\"\n\
         access = \"chat:write\"\nbody = \"openai-chat\"\n\
         [rate_limit]\nby_ip = \"{by_ip}\"\nby_key = \"100000000/day\"\n\
         [concurrency]\nper_key = 1000\n\
         [audit]\nfile = \"app.log\"\non_overflow = \"drop\"\n{audit}"
    );
    let mut config =
        Config::parse(&text, Format::Toml, &Environment::default()).expect("this is valid");
    config.resolve_paths(folder);
    config
}
