//! The gateways, each with its documented settings for many clients and with the functions that it
//! has of those of the fence.

use std::{
    error::Error,
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    time::Duration,
};

use clap::ValueEnum;
use serde::Serialize;
use stockade_benches::{Processes, ROOT, Upstream, Usage, run};
use stockade_testkit::port;
use tokio::time;

use crate::answers;

mod haproxy;
mod litellm;
mod nginx;
mod stockade;

/// The key that gateways send to the upstream.
const UPSTREAM_KEY: &str = "sk-upstream";
/// The key of the client, except for Stockade, which makes keys itself.
const CLIENT_KEY: &str = "sk-client-of-the-benchmark";
/// LiteLLM takes 15 seconds on two idle cores, and minutes on busy ones.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Name {
    /// The upstream itself.
    Direct,
    /// `stockade-server` with the whole fence.
    Stockade,
    Nginx,
    Haproxy,
    Litellm,
}

impl Name {
    pub(crate) const ALL: [Self; 5] = [
        Self::Direct,
        Self::Stockade,
        Self::Nginx,
        Self::Haproxy,
        Self::Litellm,
    ];
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Stockade => "Stockade",
            Self::Nginx => "nginx",
            Self::Haproxy => "HAProxy",
            Self::Litellm => "LiteLLM",
        })
    }
}

/// A running gateway, or the upstream itself.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) name: Name,
    /// The URL of its chats.
    pub(crate) url: String,
    /// The key of the client.
    pub(crate) key: String,
    processes: Option<Processes>,
}

impl Gateway {
    /// Starts a gateway, whose files are in this folder, and waits until it answers.
    pub(crate) async fn start(
        name: Name,
        upstream: &Upstream,
        folder: &Path,
        server: &Path,
    ) -> Result<Self, Box<dyn Error>> {
        let folder = folder.join(format!("{name:?}").to_lowercase());
        fs::create_dir_all(&folder)?;
        let port = port::free();
        let upstream = upstream.address;
        let (command, key) = match name {
            Name::Direct => {
                return Ok(Self::at(name, upstream, CLIENT_KEY.to_owned(), None));
            }
            Name::Stockade => stockade::command(server, &folder, port, upstream)?,
            Name::Nginx => nginx::command(&folder, port, upstream)?,
            Name::Haproxy => haproxy::command(&folder, port, upstream)?,
            Name::Litellm => litellm::command(&folder, port, upstream)?,
        };
        let log = folder.join("output.log");
        let processes = Processes::start(command, &log)?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        let mut gateway = Self::at(name, address, key, Some(processes));
        gateway.wait(&log).await?;
        Ok(gateway)
    }

    fn at(name: Name, address: SocketAddr, key: String, processes: Option<Processes>) -> Self {
        Self {
            name,
            url: format!("http://{address}/v1/chat/completions"),
            key,
            processes,
        }
    }

    async fn wait(&mut self, log: &Path) -> Result<(), Box<dyn Error>> {
        let mut ticks = time::interval(Duration::from_millis(50));
        let started = time::Instant::now();
        while answers::completion(self).await.is_err() {
            let processes = self.processes.as_mut();
            let ended =
                processes.is_some_and(|processes| !matches!(processes.is_running(), Ok(true)));
            if ended || started.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{} does not answer: {log}", self.name).into());
            }
            ticks.tick().await;
        }
        Ok(())
    }

    /// What its processes have used; nothing for the upstream, which is in this process.
    pub(crate) fn usage(&self) -> io::Result<Usage> {
        self.processes
            .as_ref()
            .map_or(Ok(Usage::default()), Processes::usage)
    }
}

/// Installs the Debian packages of programs that are missing, and prints which.
pub(crate) fn install(names: &[Name]) -> Result<(), Box<dyn Error>> {
    let programs = names.iter().filter_map(|name| match name {
        Name::Nginx => Some("nginx"),
        Name::Haproxy => Some("haproxy"),
        _ => None,
    });
    // All of them print their version with -v.
    let is_missing = |program: &&str| Command::new(program).arg("-v").output().is_err();
    let missing: Vec<_> = programs.chain(["wrk"]).filter(is_missing).collect();
    if !missing.is_empty() {
        run(Command::new(format!("{ROOT}/scripts/install-packages")).args(missing))?;
    }
    if names.contains(&Name::Litellm) {
        litellm::install()?;
    }
    Ok(())
}
