//! The administration of a server, as a user of its page would use it.

use std::fs;

use reqwest::{Method, StatusCode, header::SET_COOKIE};
use serde_json::{Value, json};
use stockade_server::tiny_model;
use stockade_testkit::poll::until_async;

use crate::server_process::ServerProcess;

const LINES: &str = "[admin]\nlisten = \"127.0.0.1:0\"\n\
    [abuse]\nban_loopback = false\n";

/// The password of the first user.
pub(crate) const PASSWORD: &str = "violet otter climbs 42 stairs";

/// A server with an administration, and a session of its first user.
pub(crate) struct Administration {
    pub(crate) server: ServerProcess,
    pub(crate) client: reqwest::Client,
    pub(crate) base: String,
    cookie: String,
    csrf: String,
}

impl Administration {
    async fn start() -> Self {
        Self::start_with(LINES).await
    }

    /// With these lines in the configuration.
    pub(crate) async fn start_with(lines: &str) -> Self {
        // The setup link is printed to standard output, not to the log.
        let to_file = "exec >\"$(dirname \"$1\")/stdout\"";
        let server = ServerProcess::start_in(to_file, lines, |folder| {
            tiny_model::write(&folder.join("model"), 1).unwrap();
        });
        let link = async || {
            let text = fs::read_to_string(server.file("stdout")).unwrap_or_default();
            let link = text.lines().find(|line| line.contains("#setup="));
            link.map(str::to_owned)
        };
        until_async("the setup link", async || link().await.is_some()).await;
        let link = link().await.unwrap();
        let (page, token) = link.split_once("#setup=").unwrap();
        let base = page.strip_suffix("/admin/").unwrap().to_owned();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let body = json!({
            "token": token,
            "username": "root",
            "password": PASSWORD,
        });
        let setup = || {
            client
                .post(format!("{base}/admin/v1/setup"))
                .json(&body)
                .send()
        };
        let created = setup().await.unwrap();
        assert_eq!(created.status(), StatusCode::CREATED);
        let cookie = created.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let session: Value = created.json().await.unwrap();
        let again = setup().await.unwrap();
        assert_eq!(
            again.status(),
            StatusCode::UNAUTHORIZED,
            "a link works once"
        );
        Self {
            server,
            cookie,
            csrf: session["csrf_token"].as_str().unwrap().to_owned(),
            client,
            base,
        }
    }

    async fn send(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let request = self
            .client
            .request(method, format!("{}/admin/v1{path}", self.base))
            .header("cookie", &self.cookie)
            .header("x-csrf-token", &self.csrf)
            .json(&body);
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send(Method::GET, path, Value::Null).await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        body
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let (status, body) = self.send(Method::POST, path, body).await;
        assert!(status.is_success(), "{path}: {status} {body}");
        body
    }

    /// Creates a key of the team `red`, and returns it.
    async fn key(&self, id: &str) -> String {
        let body = json!({ "id": id, "team": "red", "scopes": ["chat:write", "models:read"] });
        let created = self.post("/keys", body).await;
        created["secret"].as_str().unwrap().to_owned()
    }

    /// What a key has used, by the key itself.
    async fn own_usage(&self, key: &str, query: &str) -> Value {
        let request = self.client.get(format!("{}/v1/usage{query}", self.base));
        let response = request.bearer_auth(key).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// Sends a chat to the listener of the administration, as the playground does.
    async fn chat(&self, key: &str) -> u16 {
        let body = json!({
            "model": "tiny",
            "max_tokens": 4,
            "messages": [{ "role": "user", "content": "hello" }],
        });
        let request = self
            .client
            .post(format!("{}/v1/chat/completions", self.base))
            .bearer_auth(key)
            .json(&body);
        request.send().await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn a_key_is_made_used_seen_banned_and_revoked() {
    let admin = Administration::start().await;
    let key = admin.key("team-core").await;
    until_async("the model", async || admin.chat(&key).await == 200).await;
    let usage = async || admin.get("/keys/team-core/usage").await;
    until_async("the usage", async || {
        let usage = usage().await;
        usage["data"][0]["completion_tokens"].as_u64() >= Some(4)
    })
    .await;
    let records = admin.get("/audit?user=team-core&status=200").await;
    assert_eq!(records["data"][0]["path"], "/v1/chat/completions");

    let ban = json!({ "target": "key:team-core", "duration_secs": 60, "reason": "test" });
    admin.post("/bans", ban).await;
    assert_eq!(admin.chat(&key).await, 403);
    let (lifted, _) = admin
        .send(Method::DELETE, "/bans/key%3Ateam-core", Value::Null)
        .await;
    assert_eq!(lifted, StatusCode::NO_CONTENT);
    assert_eq!(admin.chat(&key).await, 200);

    admin.post("/keys/team-core/revoke", json!({})).await;
    assert_eq!(admin.chat(&key).await, 401);
    until_async("the events", async || {
        let events = admin.get("/audit?kind=events&user=root").await;
        let events = events["data"].as_array().unwrap().clone();
        let has = |subject: &str| events.iter().any(|event| event["subject"] == subject);
        has("team-core") && has("key:team-core")
    })
    .await;
}

#[tokio::test]
async fn keys_of_a_team_share_a_budget() {
    let admin = Administration::start().await;
    let (first, second) = (admin.key("first").await, admin.key("second").await);
    until_async("the model", async || admin.chat(&first).await == 200).await;
    let budget = json!({
        "subject": { "kind": "team", "name": "red" },
        "unit": "requests",
        "limit": 2,
        "window": "month",
    });
    admin.post("/budgets", budget).await;
    assert_eq!(admin.chat(&first).await, 200);
    assert_eq!(admin.chat(&second).await, 200);
    assert_eq!(admin.chat(&first).await, 429);
    assert_eq!(admin.get("/budgets").await["data"][0]["spent"], 2.0);
    let own = admin.own_usage(&second, "?days=1").await;
    assert_eq!(
        (&own["key"], &own["budgets"][0]["limit"]),
        (&json!("second"), &json!(2.0))
    );
    until_async("the own usage", async || {
        let own = admin.own_usage(&second, "").await;
        let rows = own["data"].as_array().unwrap();
        // The requests without a model are these.
        let of_model = rows.iter().find(|row| row["model"] == "tiny");
        of_model.is_some_and(|row| row["requests"] == 1)
    })
    .await;
    let refused = admin.own_usage(&second, "?days=0").await;
    assert_eq!(refused["error"]["param"], "days");
}

#[tokio::test]
async fn unloads_and_loads_a_model() {
    let admin = Administration::start().await;
    let key = admin.key("team-core").await;
    until_async("the model", async || admin.chat(&key).await == 200).await;
    let state = async || admin.get("/models").await["data"][0]["state"].clone();

    admin.post("/models/tiny/unload", json!({})).await;
    until_async("the end of the model", async || state().await == "unloaded").await;
    assert_eq!(admin.chat(&key).await, 503);
    admin.post("/models/tiny/load", json!({})).await;
    until_async("the model", async || admin.chat(&key).await == 200).await;
    assert_eq!(state().await, "ready");

    let (status, _) = admin
        .send(Method::POST, "/models/other/unload", json!({}))
        .await;
    assert_eq!(status, StatusCode::CONFLICT);
    let events = admin.get("/audit?kind=events&search=model").await;
    let events = events["data"].as_array().unwrap().iter();
    let kinds: Vec<_> = events.map(|event| event["event"].clone()).collect();
    for kind in ["model_loaded", "model_unloaded"] {
        assert!(kinds.contains(&json!(kind)), "{kinds:?}");
    }
}

#[tokio::test]
async fn shows_and_reloads_the_configuration() {
    let admin = Administration::start().await;
    let config = admin.get("/config").await;
    let settings = config["settings"].as_array().unwrap();
    let listen = settings
        .iter()
        .find(|setting| setting["name"] == "admin.listen")
        .unwrap();
    assert_eq!(listen["value"], "\"127.0.0.1:0\"");
    assert!(listen["origin"].as_str().unwrap().contains("stockade.toml"));
    let reloaded = admin.post("/config/reload", json!({})).await;
    assert_eq!(reloaded["pending"], json!([]));
    let valid =
        json!({ "text": "[auth]\nkeys_file = \"keys.yaml\"\n[model]\nsource = \"./model\"\n" });
    assert!(admin.post("/config/validate", valid).await["warnings"].is_array());
    let typo = json!({ "text": "[auth]\nkeys_flie = \"keys.yaml\"\n" });
    let (status, error) = admin.send(Method::POST, "/config/validate", typo).await;
    assert!(status.is_client_error(), "{status}");
    let message = error["error"]["message"].as_str().unwrap();
    assert!(message.contains("did you mean `keys_file`"), "{message}");
}
