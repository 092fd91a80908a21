//! A server process in a folder of its own.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Cursor},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, Response};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take. Not a measure: a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Server {
    folder: Option<TempDir>,
    child: Child,
    client: Client,
    url: String,
    /// The key that it made; empty where it made none.
    pub(crate) key: String,
    /// What it said at the start.
    pub(crate) greeting: String,
}

impl Server {
    /// Starts it with the file that comes with it, in a new folder.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("stockade.toml");
        fs::copy(shipped, folder.path().join("stockade.toml")).unwrap();
        Self::start_in(folder, environment)
    }

    pub(crate) fn start_in(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        let log = File::create(folder.path().join("server.log")).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_stockade-example-axum-llm"))
            .args(["--listen", "127.0.0.1:0"])
            .current_dir(folder.path())
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut greeting = String::new();
        while !greeting.ends_with(" is up\n") {
            if out.read_line(&mut greeting).unwrap() == 0 {
                panic!(
                    "{greeting}{}",
                    fs::read_to_string(folder.path().join("server.log")).unwrap()
                );
            }
        }
        let key = greeting.lines().find_map(|line| line.strip_prefix("KEY="));
        let last = greeting.lines().last().unwrap();
        Self {
            child,
            client: Client::builder().no_proxy().build().unwrap(),
            url: last.strip_suffix(" is up").unwrap().to_owned(),
            key: key.unwrap_or_default().to_owned(),
            folder: Some(folder),
            greeting,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.as_ref().unwrap().path().join(name)
    }

    /// What it has written to standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.file("server.log")).unwrap()
    }

    pub(crate) async fn chat(&self, body: Value) -> Response {
        self.chat_as(&self.key, body).await
    }

    pub(crate) async fn chat_as(&self, key: &str, body: Value) -> Response {
        let request = self
            .client
            .post(format!("{}/v1/chat/completions", self.url));
        request.bearer_auth(key).json(&body).send().await.unwrap()
    }

    /// Asks over a connection of its own.
    pub(crate) async fn try_health(&self) -> reqwest::Result<Response> {
        let client = Client::builder().no_proxy().build()?;
        client.get(format!("{}/health", self.url)).send().await
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let killed = Command::new("bash").args(["-c", &kill]).status();
        assert!(killed.unwrap().success());
    }

    /// Stops it gently.
    pub(crate) fn stop(self) -> (TempDir, ExitStatus) {
        self.signal("TERM");
        self.wait(PATIENCE)
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self, within: Duration) -> (TempDir, ExitStatus) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < within, "it still runs");
            std::thread::sleep(Duration::from_millis(10));
        };
        (self.folder.take().unwrap(), status)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where the test waited for that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again and again, for so long at most.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let asked = tokio::time::timeout(PATIENCE, asking).await;
    asked.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The records of requests, in their order.
pub(crate) fn records(folder: &TempDir) -> Vec<Value> {
    let log = fs::read_to_string(folder.path().join("app.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|record: &Value| record["method"] == "POST")
        .collect()
}

/// A picture as a data URL.
pub(crate) fn picture(width: u32, height: u32) -> String {
    let mut png = Cursor::new(Vec::new());
    let picture = image::RgbImage::new(width, height);
    picture.write_to(&mut png, image::ImageFormat::Png).unwrap();
    format!(
        "data:image/png;base64,{}",
        BASE64_STANDARD.encode(png.into_inner())
    )
}
