//! A server in a process of its own, for tests of signals, descriptors and memory.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;

use crate::test_server::{FULL_KEY, METRICS_KEY, write_files};

/// How long a test waits for a condition.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running `stockade-server serve`, killed on drop. Its model comes from an unreachable Hub,
/// unless the directory has a model.
pub(crate) struct ServerProcess {
    child: Child,
    pub(crate) address: SocketAddr,
    base: String,
    lines: Receiver<Value>,
    /// The log lines before it listened.
    before: Vec<Value>,
    client: reqwest::Client,
    folder: TempDir,
}

impl ServerProcess {
    /// Starts a server with these lines in its configuration.
    pub(crate) fn start(lines: &str) -> Self {
        Self::start_after("", lines)
    }

    /// Starts a server after a shell command, such as `ulimit -n 64`.
    pub(crate) fn start_after(shell: &str, lines: &str) -> Self {
        Self::start_in(shell, lines, |_| ())
    }

    /// Starts a server after `prepare` has been called with its directory.
    pub(crate) fn start_in(shell: &str, lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = write_files(folder.path(), lines);
        prepare(folder.path());
        let program = env!("CARGO_BIN_EXE_stockade-server");
        let script = format!("{shell}\nexec \"$0\" serve --config \"$1\"");
        let mut command = Command::new("bash");
        without_model(folder.path(), &config);
        command.args(["-ec", &script, program]).arg(config);
        let mut child = without_hub(&mut command, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (received, lines) = mpsc::channel();
        // Reads continuously, so that the server never blocks on a full pipe.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Ok(line) = serde_json::from_str(&line) {
                    let _ = received.send(line);
                }
            }
        });
        let mut running = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            base: String::new(),
            lines,
            before: Vec::new(),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            folder,
        };
        let listening = loop {
            match running.wait_for_log("") {
                line if line["message"] == "listening" => break line,
                line => running.before.push(line),
            }
        };
        let [scheme, address] = ["scheme", "address"].map(|name| listening[name].as_str().unwrap());
        running.base = format!("{scheme}://{address}");
        running.address = address.parse().unwrap();
        running
    }

    /// Uses this client from now on.
    pub(crate) fn with_client(mut self, client: reqwest::Client) -> Self {
        self.client = client;
        self
    }

    /// Waits for the next log line whose message contains `message`.
    pub(crate) fn wait_for_log(&self, message: &str) -> Value {
        let end = Instant::now() + TIMEOUT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let line = line.unwrap_or_else(|_| panic!("no log line with {message:?}"));
            if line["message"]
                .as_str()
                .is_some_and(|m| m.contains(message))
            {
                return line;
            }
        }
    }

    /// The log line before the server listened whose message contains `message`.
    pub(crate) fn startup_log(&self, message: &str) -> &Value {
        let says = |line: &&Value| {
            line["message"]
                .as_str()
                .is_some_and(|m| m.contains(message))
        };
        let line = self.before.iter().find(says);
        line.unwrap_or_else(|| panic!("no log line with {message:?}: {:?}", self.before))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Sets a limit of the running process, as `prlimit` takes it: `nofile=16:` sets only the soft
    /// limit.
    pub(crate) fn limit(&self, limit: &str) {
        let pid = self.child.id().to_string();
        let set = Command::new("prlimit")
            .args(["--pid", &pid, &format!("--{limit}")])
            .status();
        let set = set.expect("prlimit is installed: apt-get install util-linux");
        assert!(set.success(), "{limit}");
    }

    /// Replaces the configuration file.
    pub(crate) fn configure(&self, lines: &str) {
        let config = write_files(self.folder.path(), lines);
        without_model(self.folder.path(), &config);
    }

    /// A path in the directory of the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn get(&self, path: &str, key: &str) -> RequestBuilder {
        self.request(Method::GET, path, key)
    }

    /// A chat request with this body.
    pub(crate) fn chat(&self, body: String) -> RequestBuilder {
        let request = self.request(Method::POST, "/v1/chat/completions", FULL_KEY);
        request
            .header("content-type", "application/json")
            .body(body)
    }

    fn request(&self, method: Method, path: &str, key: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.base);
        self.client.request(method, url).bearer_auth(key)
    }

    /// The value of a metric in `/metrics`, if it exists.
    pub(crate) async fn metric(&self, name: &str) -> Option<f64> {
        let metrics = self.get("/metrics", METRICS_KEY).send().await.unwrap();
        assert_eq!(metrics.status(), 200);
        let metrics = metrics.text().await.unwrap();
        let mut lines = metrics.lines().filter_map(|line| line.strip_prefix(name));
        lines.find_map(|rest| rest.strip_prefix(' ')?.parse().ok())
    }

    /// The peak memory of the process, in bytes.
    pub(crate) fn peak_memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.unwrap().trim().strip_suffix(" kB").unwrap();
        kibibytes.parse::<usize>().unwrap() << 10
    }

    /// The metrics of the listener of `[metrics]`.
    pub(crate) async fn unlimited_metrics(&self) -> String {
        let response = self.client.get(self.metrics_url()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.text().await.unwrap()
    }

    /// The URL of the listener of `[metrics]`.
    pub(crate) fn metrics_url(&self) -> String {
        let line = self.startup_log("serving /metrics without keys");
        format!("http://{}/metrics", line["address"].as_str().unwrap())
    }

    /// The number of open descriptors. Without `server.dangerous_allow_debugging`, only root may
    /// count them.
    pub(crate) fn descriptors(&self) -> usize {
        let all = fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        all.unwrap().count()
    }

    /// Sends SIGTERM, and returns the exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.wait_for_exit()
    }

    /// Waits until the process exits, and returns the exit code.
    pub(crate) fn wait_for_exit(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Also if a test has failed; without effect after the process has exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Names a model of the Hub in the configuration, unless the directory has a model.
fn without_model(folder: &Path, config: &Path) {
    if !folder.join("model").exists() {
        let text = fs::read_to_string(config).unwrap();
        fs::write(config, text.replace("\"./model\"", "\"tests/none\"")).unwrap();
    }
}

/// Sets an unreachable Hub and an empty cache.
pub(crate) fn without_hub<'c>(command: &'c mut Command, folder: &Path) -> &'c mut Command {
    command
        .env("HF_ENDPOINT", "http://127.0.0.1:9")
        .env("HF_HOME", folder)
}

/// Sends a signal to a process.
pub(crate) fn signal(process: &Child, name: &str) {
    let kill = format!("kill -{name} {}", process.id());
    let sent = Command::new("bash").args(["-c", &kill]).status().unwrap();
    assert!(sent.success());
}
