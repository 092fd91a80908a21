//! Tests with a tonic client and an HTTP client on one port.

use std::{fs, path::Path, time::Duration};

use reqwest::{Client, Method, Response};
use stockade::Environment;
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use tempfile::TempDir;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_types::StatusExt;

use super::*;

/// Turns a hang into a failure.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A client with or without a key.
struct TestClient {
    url: String,
    http: Client,
    grpc: HealthClient<Channel>,
    bearer: Option<String>,
}

/// The server with the example's configuration.
struct Fixture {
    folder: TempDir,
    fence: Fence,
    address: SocketAddr,
    reader: GeneratedKey,
    writer: GeneratedKey,
}

impl Fixture {
    async fn open(environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (reader, writer) = (key("reader"), key("writer"));
        let keys = [
            record(&reader, "notes:read"),
            record(&writer, "notes:write health:watch"),
        ];
        let keys = format!("keys:\n{}", keys.concat());
        fs::write(folder.path().join("keys.yaml"), keys).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("stockade.toml");
        let config = folder.path().join("stockade.toml");
        fs::copy(shipped, &config).unwrap();
        let config = Config::read(&config, &Environment::new(environment.iter().copied())).unwrap();
        let fence = Fence::from_config(&config).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app(&fence, grpc().await).into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self {
            folder,
            fence,
            address,
            reader,
            writer,
        }
    }

    /// The audit records of requests.
    fn records(&self) -> Vec<Value> {
        self.fence.audit().flush(TIMEOUT).unwrap();
        let log = fs::read_to_string(self.folder.path().join("app.log")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|record: &Value| record["method"].is_string())
            .collect()
    }

    async fn client(&self, key: Option<&GeneratedKey>) -> TestClient {
        let url = format!("http://{}", self.address);
        let channel = Channel::from_shared(url.clone()).unwrap();
        TestClient {
            url,
            http: Client::builder().no_proxy().build().unwrap(),
            grpc: HealthClient::new(channel.connect().await.unwrap()),
            bearer: key.map(|key| format!("Bearer {}", key.expose())),
        }
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

fn key(id: &str) -> GeneratedKey {
    GeneratedKey::new("sk", id.parse().unwrap()).unwrap()
}

fn record(key: &GeneratedKey, scopes: &str) -> String {
    let record = KeyRecord::new(key.id().clone(), key.digest()).scopes(scopes.parse().unwrap());
    to_yaml(&record)
}

impl TestClient {
    async fn notes(&self, method: Method, text: &str) -> Response {
        let mut request = self
            .http
            .request(method, format!("{}/notes/milk", self.url));
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer);
        }
        let request = request.header("content-type", "application/json");
        request.body(text.to_owned()).send().await.unwrap()
    }

    async fn read(&self) -> u16 {
        self.notes(Method::GET, "").await.status().as_u16()
    }

    fn question(&self) -> tonic::Request<HealthCheckRequest> {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        if let Some(bearer) = &self.bearer {
            let bearer = bearer.parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        request
    }

    async fn check(&mut self) -> Result<i32, Status> {
        let answer = self.grpc.check(self.question()).await?;
        Ok(answer.into_inner().status)
    }

    async fn watch(&mut self) -> Result<Streaming<HealthCheckResponse>, Status> {
        Ok(self.grpc.watch(self.question()).await?.into_inner())
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

async fn code(response: Response) -> String {
    let body: Value = response.json().await.unwrap();
    body["error"]["code"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_allowed_its_routes_and_methods() {
    let fixture = Fixture::open(&[]).await;
    let mut reader = fixture.client(Some(&fixture.reader)).await;
    let answer = reader.notes(Method::GET, "").await;
    assert_eq!(answer.status(), 200);
    let note: Value = answer.json().await.unwrap();
    assert_eq!(note, json!({"note": "milk", "reader": "reader"}));
    assert_eq!(reader.check().await.unwrap(), 1);

    let mut writer = fixture.client(Some(&fixture.writer)).await;
    let written = writer.notes(Method::PUT, "[1]").await;
    assert_eq!(written.status(), 200);
    let first = writer.watch().await.unwrap().message().await.unwrap();
    assert_eq!(first.unwrap().status, 1);
}

#[tokio::test]
async fn refusals_use_the_format_of_the_protocol() {
    let fixture = Fixture::open(&[]).await;
    let mut anonymous = fixture.client(None).await;
    let answer = anonymous.notes(Method::GET, "").await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(code(answer).await, "AUTHENTICATION_FAILED");
    let status = anonymous.check().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(reason(&status), "AUTHENTICATION_FAILED");

    let mut reader = fixture.client(Some(&fixture.reader)).await;
    let answer = reader.notes(Method::PUT, "[1]").await;
    assert_eq!(answer.status(), 403);
    assert_eq!(code(answer).await, "PERMISSION_DENIED");
    let status = reader.watch().await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("health:watch"), "{status:?}");
    assert_eq!(reason(&status), "PERMISSION_DENIED");
}

#[tokio::test]
async fn validates_bodies_of_routes_but_not_grpc_messages() {
    let fixture = Fixture::open(&[]).await;
    let mut writer = fixture.client(Some(&fixture.writer)).await;
    let answer = writer.notes(Method::PUT, "[1, ]").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(code(answer).await, "INVALID_JSON");
    assert_eq!(writer.check().await.unwrap(), 1);
}

// S03: not declared, in either protocol.
#[tokio::test]
async fn denies_routes_without_a_rule() {
    let fixture = Fixture::open(&[]).await;
    let writer = fixture.client(Some(&fixture.writer)).await;
    let health = "/grpc.health.v1.Health";
    // HTTP/2 with prior knowledge, as gRPC uses it.
    let http2 = Client::builder().no_proxy().http2_prior_knowledge();
    let http2 = http2.build().unwrap();
    for (method, path, content_type, status, grpc_status) in [
        (Method::GET, "/".to_owned(), "text/plain", 404, None),
        (Method::POST, format!("{health}/"), "text/plain", 404, None),
        (
            Method::GET,
            format!("{health}/Check"),
            "text/plain",
            405,
            None,
        ),
        (
            Method::POST,
            "/notes/milk".to_owned(),
            "text/plain",
            405,
            None,
        ),
        (
            Method::POST,
            format!("{health}/List"),
            "application/grpc",
            200,
            Some("5"),
        ),
        (
            Method::POST,
            "/pkg.Other/Do".to_owned(),
            "application/grpc",
            200,
            Some("5"),
        ),
        // FA16: the content type does not turn it into a gRPC method.
        (
            Method::POST,
            "/notes/milk".to_owned(),
            "application/grpc",
            405,
            None,
        ),
    ] {
        let url = format!("{}{path}", writer.url);
        let client = match content_type {
            "application/grpc" => &http2,
            _ => &writer.http,
        };
        let request = client.request(method.clone(), url);
        let request = request.bearer_auth(fixture.writer.expose());
        let request = request.header("content-type", content_type);
        let answer = request.send().await.unwrap();
        let found = answer.headers().get("grpc-status");
        let found = found.map(|status| status.to_str().unwrap());
        let found = (answer.status().as_u16(), found);
        assert_eq!(found, (status, grpc_status), "{method} {path}");
    }
}

#[tokio::test]
async fn one_limit_counts_both_and_each_gets_a_retry_delay() {
    let fixture = Fixture::open(&[("STOCKADE_RATE_LIMIT__BY_KEY", "2/minute")]).await;
    let mut reader = fixture.client(Some(&fixture.reader)).await;
    assert_eq!(reader.read().await, 200);
    assert_eq!(reader.check().await.unwrap(), 1);

    let answer = reader.notes(Method::GET, "").await;
    assert_eq!(answer.status(), 429);
    let wait: u64 = answer.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    assert_eq!(code(answer).await, "RATE_LIMITED");

    let status = reader.check().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(reason(&status), "RATE_LIMITED");
    let wait = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((1..=60).contains(&wait.as_secs()), "{wait:?}");
}

// R10
#[tokio::test]
async fn a_stream_holds_its_permit_until_its_client_disconnects() {
    let fixture = Fixture::open(&[
        ("STOCKADE_CONCURRENCY__PER_KEY", "1"),
        ("STOCKADE_RATE_LIMIT__BY_IP", "1000000/second"),
        ("STOCKADE_RATE_LIMIT__BY_KEY", "1000000/second"),
    ])
    .await;
    let mut writer = fixture.client(Some(&fixture.writer)).await;
    let mut stream = writer.watch().await.unwrap();
    stream.message().await.unwrap();
    let status = writer.check().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);

    drop(stream);
    let freed = async {
        while writer.check().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, freed)
        .await
        .expect("the permit was not released");
}

// R01: both protocols see the peer address, so a limit by address counts both.
#[tokio::test]
async fn both_protocols_share_the_client_address() {
    let fixture = Fixture::open(&[("STOCKADE_RATE_LIMIT__BY_IP", "2/minute")]).await;
    let mut reader = fixture.client(Some(&fixture.reader)).await;
    assert_eq!(reader.read().await, 200);
    assert_eq!(reader.check().await.unwrap(), 1);
    let mut writer = fixture.client(Some(&fixture.writer)).await;
    assert_eq!(writer.read().await, 429);
    let status = writer.check().await.unwrap_err();
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "ip");
}

// L05
#[tokio::test]
async fn records_each_request_once_with_the_status_that_its_client_got() {
    let fixture = Fixture::open(&[]).await;
    let mut anonymous = fixture.client(None).await;
    anonymous.read().await;
    anonymous.check().await.unwrap_err();
    let mut reader = fixture.client(Some(&fixture.reader)).await;
    reader.read().await;
    reader.check().await.unwrap();

    let written = async {
        loop {
            let records = fixture.records();
            if records.len() == 4 {
                return records;
            }
            // The last response may arrive before its end is recorded.
            tokio::task::yield_now().await;
        }
    };
    let records = tokio::time::timeout(TIMEOUT, written).await.unwrap();
    let fields = |record: &Value| {
        ["route", "path", "user", "status", "grpc_status"].map(|field| record[field].clone())
    };
    let (note, check) = ("/notes/{name}", "/grpc.health.v1.Health/Check");
    let expected = [
        json!([note, note, null, 401, null]),
        json!([null, check, null, 200, 16]),
        json!([note, note, "reader", 200, null]),
        json!([null, check, "reader", 200, 0]),
    ];
    let found: Vec<Value> = records.iter().map(|record| fields(record).into()).collect();
    assert_eq!(found, expected);
}
