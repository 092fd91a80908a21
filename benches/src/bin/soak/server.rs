//! The server under attack, on a processor of its own.

use std::{
    error::Error,
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use stockade_benches::{Processes, Usage, make_key};
use stockade_testkit::port;
use tokio::time;

/// Its processor.
pub(crate) const PROCESSOR: usize = 1;

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) good_key: String,
    /// The key of attackers that have one.
    pub(crate) bad_key: String,
    processes: Processes,
}

impl Server {
    /// Starts it with its files in this folder, and waits until it is ready.
    pub(crate) async fn start(
        program: &Path,
        folder: &Path,
        upstream: SocketAddr,
    ) -> Result<Self, Box<dyn Error>> {
        let port = port::free();
        let keys = folder.join("keys.yaml");
        let good_key = make_key(program, &keys, "good")?;
        let bad_key = make_key(program, &keys, "bad")?;
        let config = folder.join("stockade.toml");
        fs::write(&config, configuration(port, upstream))?;
        let mut command = Command::new("taskset");
        command.args(["--cpu-list", &PROCESSOR.to_string()]);
        command
            .arg(program)
            .arg("serve")
            .arg("--config")
            .arg(config);
        let log = folder.join("output.log");
        let mut server = Self {
            address: (Ipv4Addr::LOCALHOST, port).into(),
            good_key,
            bad_key,
            processes: Processes::start(command, &log)?,
        };
        let started = Instant::now();
        let ready = format!("http://{}/health/ready", server.address);
        while !is_ready(&ready).await {
            if !server.processes.is_running()? || started.elapsed() > START_TIMEOUT {
                let log = fs::read_to_string(log)?;
                return Err(format!("the server does not become ready: {log}").into());
            }
            time::sleep(Duration::from_millis(500)).await;
        }
        Ok(server)
    }

    pub(crate) fn usage(&self) -> io::Result<Usage> {
        self.processes.usage()
    }
}

async fn is_ready(url: &str) -> bool {
    let response = reqwest::get(url).await;
    response.is_ok_and(|response| response.status() == 200)
}

/// The limits of a deployment, but with room for 10,000 connections and 1,000 streams of one key.
fn configuration(port: u16, upstream: SocketAddr) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:{port}"
max_connections = 12000
max_connections_per_address = 12000

[[models]]
name = "bench"
upstream = [{{ url = "http://{upstream}/v1" }}]
max_running = 4096

[auth]
keys_file = "keys.yaml"

[rate_limit]
by_ip = ["1000/second"]
by_key = ["1000/second"]

[concurrency]
per_key = 1100
total = 2000

[token_budget]
by_key = ["100000000/second"]

[abuse]
threshold = 5

[audit]
file = "app.log"
security_file = "audit.log"
"#
    )
}
