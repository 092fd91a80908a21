//! The order of the fence: a request that two guards would refuse is refused by the outer
//! one, and the inner one does not run.

use std::{fs, time::Duration};

use bytes::Bytes;
use http::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST},
};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use stockade::{Config, Environment, Fence, Format};
use stockade_key_auth::{GeneratedKey, KeyHash, KeyRecord, to_yaml};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::http_server::HttpServer;

const ROUTES: &str = r#"
[auth]
keys_file = "keys.yaml"
[audit]
file = "app.log"
on_overflow = "fail_closed"
[[routes]]
path = "/"
methods = "GET"
access = "rooms:read"
[[routes]]
path = "/"
methods = "POST"
access = "rooms:write"
body = "json"
[[routes]]
path = "/endless"
methods = "GET"
access = "rooms:read"
[[routes]]
path = "/chat"
methods = "POST"
access = "rooms:write"
body = "openai-chat"
"#;

/// Bans apply to loopback clients and to clients with a valid key.
const BANS: &str = "[abuse]\nban_loopback = true\nban_valid_keys = true\n";

/// Turns a hang into a failure.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most bytes that a server may read of a request that it refuses (S07).
const TAKEN_AT_MOST: u64 = 64 * 1_024;

struct Fixture {
    folder: TempDir,
    fence: Fence,
    server: HttpServer,
    /// A key with the scope `rooms:read`.
    reader: String,
    /// A key with all scopes.
    writer: String,
}

impl Fixture {
    async fn open(settings: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let key = |id: &str| GeneratedKey::new("sk", id.parse().unwrap()).unwrap();
        let entry = |key: &GeneratedKey, scopes: &str| {
            let record = KeyRecord::new(key.id().clone(), key.digest());
            to_yaml(&record.scopes(scopes.parse().unwrap()))
        };
        let (reader, writer) = (key("reader"), key("writer"));
        // A key with a slow hash: any credential that is not in Stockade's format could be it.
        let slow = "$2b$10$abcdefghijklmnopqrstuuW3o0o8LkRIqEwXKYXmnZy1Pcq3cQ1Wa";
        let slow = KeyRecord::new("slow".parse().unwrap(), slow.parse::<KeyHash>().unwrap());
        let keys = format!(
            "keys:\n{}{}{}",
            entry(&reader, "rooms:read"),
            entry(&writer, "*"),
            to_yaml(&slow)
        );
        fs::write(folder.path().join("keys.yaml"), keys).unwrap();
        let text = format!("{ROUTES}{settings}");
        let mut config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
        config.resolve_paths(folder.path());
        let fence = Fence::from_config(&config).await.unwrap();
        let server = HttpServer::behind(fence.layer()).await;
        Self {
            folder,
            fence,
            server,
            reader: reader.expose().to_owned(),
            writer: writer.expose().to_owned(),
        }
    }

    async fn connect(&self) -> SendRequest<Full<Bytes>> {
        let stream = TcpStream::connect(self.server.address).await.unwrap();
        let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Returns the status, and the code if the response is a refusal.
    async fn ask(&self, method: Method, path: &str, key: &str, body: &str) -> (u16, String) {
        let request = request(method, path, key, body);
        let mut client = self.connect().await;
        let response = client.send_request(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        let code = body.split_once("\"code\":\"").map(|(_, rest)| rest);
        let code = code.and_then(|rest| rest.split_once('"'));
        (
            head.status.as_u16(),
            code.map(|(code, _)| code.to_owned()).unwrap_or_default(),
        )
    }

    async fn get(&self, key: &str) -> (u16, String) {
        self.ask(Method::GET, "/", key, "").await
    }

    /// Starts a response that never ends.
    async fn stay(&self, key: &str) -> (SendRequest<Full<Bytes>>, Incoming) {
        let mut client = self.connect().await;
        let response = client
            .send_request(request(Method::GET, "/endless", key, ""))
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        (client, body)
    }

    /// The guards that refused requests, in the order of the records.
    fn refused_by(&self) -> Vec<String> {
        self.fence.audit().flush(TIMEOUT).unwrap();
        let log = fs::read_to_string(self.folder.path().join("app.log")).unwrap();
        let guards = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once("\"guard\":\"")?;
            Some(rest.split_once('"')?.0.to_owned())
        });
        guards.collect()
    }
}

impl Drop for Fixture {
    /// Closes the journals, because the last connection outlives the folder.
    fn drop(&mut self) {
        for journal in self.fence.audit().journals() {
            journal.shutdown(TIMEOUT).unwrap();
        }
    }
}

fn request(method: Method, path: &str, key: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, "localhost")
        .header(CONTENT_TYPE, "application/json")
        .header(AUTHORIZATION, format!("Bearer {key}"))
        .body(Full::from(body.to_owned()))
        .unwrap()
}

fn refusal(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

const WELCOME: (u16, String) = (200, String::new());

// D02
#[tokio::test]
async fn bans_precede_limits_and_keys() {
    let fixture = Fixture::open(&format!("{BANS}[rate_limit]\nby_ip = \"5/minute\"\n")).await;
    for number in 0..5 {
        let guess = fixture.get(&format!("wrong-{number}")).await;
        assert_eq!(guess, refusal(401, "AUTHENTICATION_FAILED"));
    }
    // Banned and over the limit by address, with a wrong key and with a valid one.
    for key in ["wrong-5", &fixture.reader] {
        assert_eq!(fixture.get(key).await, refusal(403, "BANNED"));
    }
    let refused_by = fixture.refused_by();
    assert_eq!(refused_by[..5], ["auth"; 5]);
    assert_eq!(refused_by[5..], ["abuse"; 2]);
}

// A03
#[tokio::test]
async fn a_limit_by_address_precedes_any_hash() {
    let fixture = Fixture::open("[rate_limit]\nby_ip = \"2/minute\"\n").await;
    // Each credential could be the slow key, so each would cost a slow hash.
    for number in 0..2 {
        let guess = fixture.get(&format!("opaque-{number}")).await;
        assert_eq!(guess, refusal(401, "AUTHENTICATION_FAILED"));
    }
    assert_eq!(fixture.get("opaque-2").await, refusal(429, "RATE_LIMITED"));
    assert_eq!(fixture.refused_by(), ["auth", "auth", "rate_limit"]);
}

// D03
#[tokio::test]
async fn a_limit_by_key_follows_authentication() {
    let fixture = Fixture::open("[rate_limit]\nby_key = \"1/minute\"\n").await;
    // A forged key does not use up the limit of the key that it imitates.
    let (claim, _) = fixture.reader.split_at(fixture.reader.len() - 6);
    for number in 0..3 {
        let guess = fixture.get(&format!("{claim}{number:06}")).await;
        assert_eq!(guess, refusal(401, "AUTHENTICATION_FAILED"));
    }
    assert_eq!(fixture.get(&fixture.reader).await, WELCOME);
    // Another key of the same address has its own limit.
    assert_eq!(fixture.get(&fixture.writer).await, WELCOME);
    assert_eq!(
        fixture.get(&fixture.reader).await,
        refusal(429, "RATE_LIMITED")
    );
}

#[tokio::test]
async fn a_limit_by_key_precedes_scopes() {
    let fixture = Fixture::open("[rate_limit]\nby_key = \"1/minute\"\n").await;
    let write = async || fixture.ask(Method::POST, "/", &fixture.reader, "{}").await;
    assert_eq!(write().await, refusal(403, "PERMISSION_DENIED"));
    // Forbidden requests count against the limit.
    assert_eq!(write().await, refusal(429, "RATE_LIMITED"));
    assert_eq!(fixture.refused_by(), ["scope", "rate_limit"]);
}

// S07
#[tokio::test]
async fn scopes_precede_bodies() {
    let fixture = Fixture::open("").await;
    let invalid = fixture.ask(Method::POST, "/", &fixture.writer, "{").await;
    assert_eq!(invalid, refusal(400, "INVALID_JSON"));
    let invalid = fixture.ask(Method::POST, "/", &fixture.reader, "{").await;
    assert_eq!(invalid, refusal(403, "PERMISSION_DENIED"));

    // 100 MB that are announced and never sent.
    let before = fixture.server.taken();
    let (mut head, _) = request(Method::POST, "/", &fixture.reader, "").into_parts();
    head.headers.insert(CONTENT_LENGTH, 104_857_600.into());
    let mut text = "POST / HTTP/1.1\r\n".to_owned();
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\r\n", value.to_str().unwrap()));
    }
    let mut stream = TcpStream::connect(fixture.server.address).await.unwrap();
    stream
        .write_all(format!("{text}\r\n").as_bytes())
        .await
        .unwrap();
    let mut answer = [0; 13];
    let read = stream.read_exact(&mut answer);
    tokio::time::timeout(TIMEOUT, read).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403 ");
    let taken = fixture.server.taken() - before;
    assert!(taken <= TAKEN_AT_MOST, "{taken} read");
}

#[tokio::test]
async fn permits_precede_bodies_and_bodies_precede_token_budgets() {
    let fixture =
        Fixture::open("[concurrency]\nper_key = 1\n[token_budget]\nby_key = \"6000/minute\"\n")
            .await;
    let chat = async |tokens: u32| {
        let body = format!(
            r#"{{"model":"m","max_tokens":{tokens},"messages":[{{"role":"user","content":"hi"}}]}}"#
        );
        fixture
            .ask(Method::POST, "/chat", &fixture.writer, &body)
            .await
    };
    let stay = fixture.stay(&fixture.writer).await;
    let invalid = async || {
        fixture
            .ask(Method::POST, "/chat", &fixture.writer, "{")
            .await
    };
    // FA06: the only permit is in use, so neither the body nor the budget is checked.
    assert_eq!(invalid().await, refusal(429, "CONCURRENCY_LIMIT"));
    assert_eq!(chat(8_000).await, refusal(429, "CONCURRENCY_LIMIT"));
    drop(stay);
    let freed = async { while invalid().await != refusal(400, "INVALID_JSON") {} };
    tokio::time::timeout(TIMEOUT, freed).await.unwrap();
    assert_eq!(chat(8_000).await, refusal(400, "TOKENS_EXCEED_QUOTA"));
}

// R10
#[tokio::test]
async fn releases_the_permit_and_records_the_outcome_when_the_client_disconnects() {
    let fixture = Fixture::open("[concurrency]\nper_key = 1\n").await;
    let stay = fixture.stay(&fixture.reader).await;
    assert_eq!(
        fixture.get(&fixture.reader).await,
        refusal(429, "CONCURRENCY_LIMIT")
    );
    // Another key has its own permit.
    assert_eq!(fixture.get(&fixture.writer).await, WELCOME);

    drop(stay);
    let freed = async { while fixture.get(&fixture.reader).await != WELCOME {} };
    tokio::time::timeout(TIMEOUT, freed).await.unwrap();
    fixture.fence.audit().flush(TIMEOUT).unwrap();
    let log = fs::read_to_string(fixture.folder.path().join("app.log")).unwrap();
    assert_eq!(
        log.matches("\"outcome\":\"client_left\"").count(),
        1,
        "{log}"
    );
}
