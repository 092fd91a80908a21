//! A server in the test process, and helpers for requests.

use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use stockade::Environment;
use stockade_key_auth::KeyDigest;
use stockade_server::{
    Config, Models, Server, ShutdownReport, ShutdownSignal,
    backend::{Backend, MistralRs, MistralRsConfig, Phase},
    tiny_model,
};
use stockade_testkit::poll::until_async;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};

/// The keys in the key file, named by their scopes.
pub(crate) const FULL_KEY: &str = "full-key-of-the-tests";
pub(crate) const OTHER_KEY: &str = "other-key-of-the-tests";
pub(crate) const READER_KEY: &str = "reader-key-of-the-tests";
pub(crate) const METRICS_KEY: &str = "figures-key-of-the-tests";
pub(crate) const EXPIRED_KEY: &str = "expired-key-of-the-tests";

/// A running server on a port of its own.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: watch::Sender<ShutdownSignal>,
    pub(crate) report: JoinHandle<ShutdownReport>,
    client: reqwest::Client,
    folder: TempDir,
}

impl TestServer {
    /// Starts a server with a model that all tests share.
    pub(crate) async fn start() -> Self {
        Self::start_with("").await
    }

    /// Like [`start`](Self::start), with these lines in the configuration.
    pub(crate) async fn start_with(lines: &str) -> Self {
        static MODEL: OnceLock<(TempDir, MistralRs)> = OnceLock::new();
        let (_, model) = MODEL.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap();
            let config = config(folder.path(), "");
            tiny_model::write(&folder.path().join("model"), 1).unwrap();
            let model = MistralRs::start(
                MistralRsConfig::from_model(&config.models[0], &config.fence.body).unwrap(),
            );
            (folder, model)
        });
        assert_eq!(model.settled().await, Phase::Ready);
        Self::with(Arc::new(model.clone()), lines).await
    }

    /// Starts a server with its own model, with these lines in `[model]`.
    pub(crate) async fn with_model(lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lines = format!("[model]\n{lines}");
        let config = config(folder.path(), &lines);
        tiny_model::write(&folder.path().join("model"), 1).unwrap();
        let model = MistralRs::start(
            MistralRsConfig::from_model(&config.models[0], &config.fence.body).unwrap(),
        );
        assert_eq!(model.settled().await, Phase::Ready);
        Self::open(folder, &config, Arc::new(model)).await
    }

    /// Starts a server with this backend and these lines in the configuration.
    pub(crate) async fn with(backend: Arc<dyn Backend>, lines: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path(), lines);
        Self::open(folder, &config, backend).await
    }

    async fn open(folder: TempDir, config: &Config, backend: Arc<dyn Backend>) -> Self {
        let models = Models::new(config, |_| Ok(Arc::clone(&backend))).unwrap();
        Self::serve(folder, config, models).await
    }

    /// Starts a server with the `[[models]]` of these lines; `write` writes their files.
    pub(crate) async fn with_models(lines: &str, write: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path());
        let config = config(folder.path(), lines);
        let models = Models::start(&config).unwrap();
        let server = Self::serve(folder, &config, models).await;
        until_async("the models are ready", async || {
            let request = server.request(Method::GET, "/health/details");
            let response = request.bearer_auth(METRICS_KEY).send().await.unwrap();
            let health: Value = response.json().await.unwrap();
            let mut models = health["models"].as_array().unwrap().iter();
            models.all(|model| model["status"] == "ready")
        })
        .await;
        server
    }

    async fn serve(folder: TempDir, config: &Config, models: Models) -> Self {
        let server = Server::bind(config).await.unwrap();
        let address = server.address();
        let (shutdown, signal) = watch::channel(ShutdownSignal::None);
        Self {
            address,
            shutdown,
            report: tokio::spawn(server.run(models, signal)),
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            folder,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.address);
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Response {
        let request = self.request(Method::GET, path);
        request.bearer_auth(FULL_KEY).send().await.unwrap()
    }

    /// Sends a chat.
    pub(crate) async fn chat(&self, body: &Value) -> Response {
        let request = self.request(Method::POST, "/v1/chat/completions");
        request
            .bearer_auth(FULL_KEY)
            .json(body)
            .send()
            .await
            .unwrap()
    }

    /// The server's key file.
    pub(crate) fn keys_file(&self) -> PathBuf {
        self.file("keys.yaml")
    }

    /// A path in the directory of the configuration.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a chat with the text `hello` and these additional fields.
    pub(crate) async fn chat_with(&self, fields: Value) -> Response {
        self.chat(&chat_body(json!("hello"), fields)).await
    }
}

/// A chat body with one user message and these additional fields.
pub(crate) fn chat_body(content: Value, fields: Value) -> Value {
    let mut body = json!({
        "model": "tiny",
        "temperature": 0,
        "max_tokens": 8,
        "messages": [{"role": "user", "content": content}],
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

/// The data of a stream's events.
pub(crate) fn events(stream: &str) -> Vec<&str> {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .collect()
}

/// A PNG of one colour, in base64.
pub(crate) fn png(colour: [u8; 3]) -> String {
    png_of(56, colour)
}

/// A square PNG with this side, in base64.
pub(crate) fn png_of(side: u32, colour: [u8; 3]) -> String {
    let image = image::RgbImage::from_pixel(side, side, image::Rgb(colour));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    BASE64_STANDARD.encode(bytes.into_inner())
}

fn config(folder: &Path, lines: &str) -> Config {
    Config::read(&write_files(folder, lines), &Environment::default()).unwrap()
}

/// Writes the key file and a configuration with these lines, and returns the latter's path.
pub(crate) fn write_files(folder: &Path, lines: &str) -> PathBuf {
    let mut keys = "keys:\n".to_owned();
    for (id, key, scopes, expires) in [
        (
            "full",
            FULL_KEY,
            "chat:write models:read",
            "2500-01-01T00:00:00Z",
        ),
        ("other", OTHER_KEY, "chat:write", "2500-01-01T00:00:00Z"),
        ("reader", READER_KEY, "models:read", "2500-01-01T00:00:00Z"),
        (
            "figures",
            METRICS_KEY,
            "metrics:read",
            "2500-01-01T00:00:00Z",
        ),
        ("expired", EXPIRED_KEY, "*", "2020-01-01T00:00:00Z"),
    ] {
        let hash = KeyDigest::of(key.as_bytes());
        let scopes = scopes.replace(' ', ", ");
        writeln!(
            keys,
            "  - key_id: {id}\n    hash: \"{hash}\"\n    scopes: [\"{}\"]\n    expires_at: \"{expires}\"",
            scopes.replace(", ", "\", \"")
        )
        .unwrap();
    }
    std::fs::write(folder.join("keys.yaml"), keys).unwrap();

    let model = "[model]\nsource = \"./model\"\nname = \"tiny\"\n";
    let lines = if lines.contains("[[models]]") {
        lines.to_owned()
    } else if lines.contains("[model]") {
        lines.replace("[model]\n", model)
    } else {
        format!("{lines}\n{model}")
    };
    let server = "[server]\nlisten = \"127.0.0.1:0\"\n";
    let lines = if lines.contains("[server]") {
        lines.replace("[server]\n", server)
    } else {
        format!("{lines}\n{server}")
    };
    let path = folder.join("stockade.toml");
    let auth = match lines.contains("keys_database") {
        true => "",
        false => "\n[auth]\nkeys_file = \"keys.yaml\"\n",
    };
    std::fs::write(&path, format!("{lines}{auth}")).unwrap();
    path
}
