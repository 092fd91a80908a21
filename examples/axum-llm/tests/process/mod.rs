//! A server process in a temporary folder.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Cursor},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Client, Response};
use serde_json::Value;
use stockade_testkit::poll::until;
use tempfile::TempDir;

pub(crate) struct Server {
    folder: Option<TempDir>,
    child: Child,
    client: Client,
    url: String,
    /// The key that it created; empty if it created none.
    pub(crate) key: String,
    /// The text that it printed at startup.
    pub(crate) greeting: String,
}

impl Server {
    /// Starts the server in a new folder.
    pub(crate) fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), environment)
    }

    pub(crate) fn start_in(folder: TempDir, environment: &[(&str, &str)]) -> Self {
        Self::spawn(folder, &["--dir", "."], environment)
    }

    pub(crate) fn start_without_dir() -> Self {
        Self::spawn(tempfile::tempdir().unwrap(), &[], &[])
    }

    fn spawn(folder: TempDir, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let log = File::create(folder.path().join("server.log")).unwrap();
        let mut child = command(folder.path(), arguments)
            .args(["--listen", "127.0.0.1:0"])
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

    /// Its standard error.
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

    /// Requests `/health` over a new connection.
    pub(crate) async fn try_health(&self) -> reqwest::Result<Response> {
        let client = Client::builder().no_proxy().build()?;
        client.get(format!("{}/health", self.url)).send().await
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let killed = Command::new("bash").args(["-c", &kill]).status();
        assert!(killed.unwrap().success());
    }

    /// Stops the server gracefully.
    pub(crate) fn stop(self) -> (TempDir, ExitStatus) {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for the process to exit.
    pub(crate) fn wait(mut self) -> (TempDir, ExitStatus) {
        let mut status = None;
        until("the server exits", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (self.folder.take().unwrap(), status.unwrap())
    }
}

/// The example with its working directory in this folder.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-llm"));
    command.args(arguments).current_dir(folder);
    command
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process has exited already if the test waited for it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The records of requests, in order.
pub(crate) fn records(folder: &TempDir) -> Vec<Value> {
    let log = fs::read_to_string(folder.path().join("app.log")).unwrap();
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|record: &Value| record["method"] == "POST")
        .collect()
}

/// An image as a data URL.
pub(crate) fn image_url(width: u32, height: u32) -> String {
    let mut png = Cursor::new(Vec::new());
    let image = image::RgbImage::new(width, height);
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    format!(
        "data:image/png;base64,{}",
        BASE64_STANDARD.encode(png.into_inner())
    )
}
