//! A gateway in the test process, in front of scripted upstreams.

use std::{fs, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use stockade::Environment;
use stockade_key_auth::KeyDigest;
use stockade_server::{Config, Models, Server, ShutdownReport, ShutdownSignal, StartError};
use stockade_testkit::{
    poll::until_async,
    scripted_upstream::{Answer, ScriptedUpstream},
};
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

use crate::scripted_backend::ScriptedBackend;

/// The keys in the key file, named by their ids.
pub(crate) const KEY: &str = "client-key-of-the-tests";
pub(crate) const METRICS_KEY: &str = "figures-key-of-the-tests";

/// The key that the gateway sends to its upstreams.
pub(crate) const UPSTREAM_KEY: &str = "sk-upstream-of-the-tests";

/// A running gateway on a port of its own.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) folder: TempDir,
    client: reqwest::Client,
    shutdown: watch::Sender<ShutdownSignal>,
    report: JoinHandle<ShutdownReport>,
}

impl Gateway {
    /// Starts a gateway whose model `small` has this upstream. `lines` are added to the
    /// configuration.
    pub(crate) async fn new(upstream: &ScriptedUpstream, lines: &str) -> Self {
        Self::with(&with_upstream(upstream, lines)).await
    }

    /// Starts a gateway whose model `small` has the upstream `first`, and falls back to the model
    /// `spare` with the upstream `second`.
    pub(crate) async fn with_fallback(first: &ScriptedUpstream, second: &ScriptedUpstream) -> Self {
        let (first, second) = (first.url(), second.url());
        Self::with(&format!(
            "[[models]]\nname = \"small\"\nupstream = [{{ url = \"{first}\" }}]\n\
             fallback = [\"spare\"]\n\
             [[models]]\nname = \"spare\"\nupstream = [{{ url = \"{second}\" }}]\n\
             [upstreams]\nmax_retries = 0\nhealth_interval_secs = 0\n"
        ))
        .await
    }

    /// Starts a gateway whose model `small` has this upstream, and whose records are in its log.
    pub(crate) async fn without_records(upstream: &ScriptedUpstream, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), &with_upstream(upstream, lines), "");
        Self::serve(folder, Models::start).await
    }

    /// Starts a gateway whose model `small` is this backend.
    pub(crate) async fn over(backend: &ScriptedBackend, lines: &str) -> Self {
        let model = "[[models]]\nname = \"small\"\nsource = \"./model\"\n";
        Self::start(&format!("{model}{lines}"), |config| {
            Models::new(config, |_| Ok(Arc::new(backend.clone())))
        })
        .await
    }

    /// Starts a gateway with the models `small` and `large`.
    pub(crate) async fn over_two(small: &ScriptedBackend, large: &ScriptedBackend) -> Self {
        let model = |name| format!("[[models]]\nname = \"{name}\"\nsource = \"./{name}\"\n");
        Self::start(&[model("small"), model("large")].concat(), |config| {
            Models::new(config, |model| {
                Ok(match model.api_name().as_str() {
                    "large" => Arc::new(large.clone()),
                    _ => Arc::new(small.clone()),
                })
            })
        })
        .await
    }

    /// Starts a gateway with these models and lines.
    pub(crate) async fn with(lines: &str) -> Self {
        Self::start(lines, Models::start).await
    }

    async fn start<F>(lines: &str, models: F) -> Self
    where
        F: FnOnce(&Config) -> Result<Models, StartError>,
    {
        let folder = tempfile::tempdir().unwrap();
        write_files(folder.path(), lines, RECORDS);
        Self::serve(folder, models).await
    }

    /// Stops the gateway gracefully, and starts it again with the same files.
    pub(crate) async fn restart(self) -> Self {
        Self::serve(self.stop().await, Models::start).await
    }

    async fn serve<F>(folder: TempDir, models: F) -> Self
    where
        F: FnOnce(&Config) -> Result<Models, StartError>,
    {
        let path = folder.path().join("stockade.toml");
        let config = Config::read(&path, &Environment::default()).unwrap();
        let models = models(&config).unwrap();
        let server = Server::bind(&config).await.unwrap();
        let address = server.address();
        let (shutdown, signal) = watch::channel(ShutdownSignal::None);
        Self {
            address,
            folder,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            shutdown,
            report: tokio::spawn(server.run(models, signal)),
        }
    }

    /// Stops the gateway gracefully, and returns its folder when it has ended.
    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.send(ShutdownSignal::Graceful).unwrap();
        self.report.await.unwrap();
        self.folder
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.get(url).bearer_auth(KEY)
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.anonymous(path, body).bearer_auth(KEY)
    }

    /// A request without a key.
    pub(crate) fn anonymous(&self, path: &str, body: &Value) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.post(url).json(body)
    }

    pub(crate) async fn chat(&self, fields: Value) -> Response {
        let request = self.post("/v1/chat/completions", &chat(fields));
        request.send().await.unwrap()
    }

    /// Removes the client's key from the key file.
    pub(crate) fn revoke(&self) {
        let path = self.folder.path().join("keys.yaml");
        let keys = fs::read_to_string(&path).unwrap();
        let (client, others) = keys.split_once("  - key_id: figures").unwrap();
        assert!(client.contains("key_id: client"));
        fs::write(path, format!("keys:\n  - key_id: figures{others}")).unwrap();
    }

    /// The only record of a chat, when it has been written.
    pub(crate) async fn record(&self) -> Value {
        let path = self.folder.path().join("audit.jsonl");
        let mut found = None;
        until_async("the record is written", async || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let records = text.lines().map(|line| serde_json::from_str(line).unwrap());
            let mut chats: Vec<Value> = records
                .filter(|record: &Value| record["method"] == "POST")
                .collect();
            found = chats.pop();
            assert!(chats.is_empty(), "{text}");
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// The state of the first upstream of the first model.
    pub(crate) async fn upstream_state(&self) -> Value {
        let url = format!("http://{}/health/details", self.address);
        let request = self.client.get(url).bearer_auth(METRICS_KEY);
        let health: Value = request.send().await.unwrap().json().await.unwrap();
        health["models"][0]["upstreams"][0].clone()
    }

    pub(crate) async fn metrics(&self) -> String {
        let response = self.scrape().send().await.unwrap();
        response.text().await.unwrap()
    }

    /// A request for the metrics.
    pub(crate) fn scrape(&self) -> RequestBuilder {
        let url = format!("http://{}/metrics", self.address);
        self.client.get(url).bearer_auth(METRICS_KEY)
    }
}

/// A chat for the model `small` with these additional fields.
pub(crate) fn chat(fields: Value) -> Value {
    let mut body = json!({
        "model": "small",
        "max_tokens": 16,
        "messages": [{"role": "user", "content": "Hello"}],
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The status and the code of a refusal.
pub(crate) async fn code(response: Response) -> (u16, String) {
    let status = response.status().as_u16();
    let body: Value = response.json().await.unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

/// The rest of a stream, within a bound.
pub(crate) async fn text(response: Response) -> String {
    let text = tokio::time::timeout(Duration::from_secs(20), response.text());
    text.await.expect("the stream ends").unwrap()
}

/// The configuration of a model with this upstream, and more lines.
fn with_upstream(upstream: &ScriptedUpstream, lines: &str) -> String {
    let url = upstream.url();
    // Health checks are not among the requests.
    upstream.at_path("/v1/models", Answer::json("{}"));
    format!(
        "[[models]]\nname = \"small\"\naliases = [\"smaller\"]\n\
         upstream = [{{ url = \"{url}\", api_key_file = \"upstream.key\" }}]\n{lines}"
    )
}

/// Records in a file.
const RECORDS: &str = "[audit]\nfile = \"audit.jsonl\"\non_overflow = \"block\"\n";

fn write_files(folder: &Path, lines: &str, records: &str) {
    let key = |id: &str, key: &str, scopes: &str| {
        let hash = KeyDigest::of(key.as_bytes());
        format!(
            "  - key_id: {id}\n    hash: \"{hash}\"\n    scopes: [{scopes}]\n    \
             expires_at: \"2500-01-01T00:00:00Z\"\n"
        )
    };
    let keys = [
        key("client", KEY, "\"chat:write\", \"models:read\""),
        key("figures", METRICS_KEY, "\"metrics:read\""),
    ];
    fs::write(
        folder.join("keys.yaml"),
        format!("keys:\n{}", keys.concat()),
    )
    .unwrap();
    fs::write(folder.join("upstream.key"), format!("{UPSTREAM_KEY}\n")).unwrap();
    let server = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let lines = match lines.contains("[server]") {
        true => lines.replace("[server]\n", server),
        false => format!("{lines}\n{server}"),
    };
    // Without `[[models]]` first, later lines would belong to the model.
    let text = format!("{lines}\n[auth]\nkeys_file = \"keys.yaml\"\n{records}");
    fs::write(folder.join("stockade.toml"), text).unwrap();
}
