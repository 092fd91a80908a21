//! One port, spoken to by tonic's client and an HTTP client.

use std::{fs, path::Path, time::Duration};

use reqwest::{Client, Method, Response};
use stockade::Environment;
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use tempfile::TempDir;
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};
use tonic_types::StatusExt;

use super::*;

/// How long anything may take. Not a measure: a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(30);

/// Anybody, with some key or none.
struct Visitor {
    url: String,
    http: Client,
    grpc: HealthClient<Channel>,
    bearer: Option<String>,
}

/// The server with the configuration that comes with it.
struct Site {
    folder: TempDir,
    fence: Fence,
    address: SocketAddr,
    reader: GeneratedKey,
    writer: GeneratedKey,
}

impl Site {
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
        let fence = Fence::builder(&config).axum().build().await.unwrap();
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

    /// What was recorded of requests.
    fn records(&self) -> Vec<Value> {
        self.fence.audit().flush(PATIENCE).unwrap();
        let log = fs::read_to_string(self.folder.path().join("app.log")).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .filter(|record: &Value| record["method"].is_string())
            .collect()
    }

    async fn visitor(&self, key: Option<&GeneratedKey>) -> Visitor {
        let url = format!("http://{}", self.address);
        let channel = Channel::from_shared(url.clone()).unwrap();
        Visitor {
            url,
            http: Client::builder().no_proxy().build().unwrap(),
            grpc: HealthClient::new(channel.connect().await.unwrap()),
            bearer: key.map(|key| format!("Bearer {}", key.expose())),
        }
    }
}

impl Drop for Site {
    /// The last connection outlives the folder.
    fn drop(&mut self) {
        for journal in self.fence.audit().journals() {
            journal.shutdown(PATIENCE).unwrap();
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

impl Visitor {
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
async fn a_key_opens_its_routes_and_its_methods() {
    let site = Site::open(&[]).await;
    let mut reader = site.visitor(Some(&site.reader)).await;
    let answer = reader.notes(Method::GET, "").await;
    assert_eq!(answer.status(), 200);
    let note: Value = answer.json().await.unwrap();
    assert_eq!(note, json!({"note": "milk", "reader": "reader"}));
    assert_eq!(reader.check().await.unwrap(), 1);

    let mut writer = site.visitor(Some(&site.writer)).await;
    let written = writer.notes(Method::PUT, "[1]").await;
    assert_eq!(written.status(), 200);
    let first = writer.watch().await.unwrap().message().await.unwrap();
    assert_eq!(first.unwrap().status, 1);
}

#[tokio::test]
async fn each_is_refused_in_its_own_dialect() {
    let site = Site::open(&[]).await;
    let mut nobody = site.visitor(None).await;
    let answer = nobody.notes(Method::GET, "").await;
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.headers()["www-authenticate"], "Bearer realm=\"api\"");
    assert_eq!(code(answer).await, "AUTHENTICATION_FAILED");
    let status = nobody.check().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(reason(&status), "AUTHENTICATION_FAILED");

    let mut reader = site.visitor(Some(&site.reader)).await;
    let answer = reader.notes(Method::PUT, "[1]").await;
    assert_eq!(answer.status(), 403);
    assert_eq!(code(answer).await, "PERMISSION_DENIED");
    let status = reader.watch().await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("health:watch"), "{status:?}");
    assert_eq!(reason(&status), "PERMISSION_DENIED");
}

#[tokio::test]
async fn bodies_of_routes_are_judged_and_messages_are_not() {
    let site = Site::open(&[]).await;
    let mut writer = site.visitor(Some(&site.writer)).await;
    let answer = writer.notes(Method::PUT, "[1, ]").await;
    assert_eq!(answer.status(), 400);
    assert_eq!(code(answer).await, "INVALID_JSON");
    assert_eq!(writer.check().await.unwrap(), 1);
}

// S03: nobody declared it, in neither world.
#[tokio::test]
async fn what_no_rule_names_is_closed() {
    let site = Site::open(&[]).await;
    let writer = site.visitor(Some(&site.writer)).await;
    let health = "/grpc.health.v1.Health";
    // As gRPC is spoken.
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
        // FA16: the content type makes no gRPC method of it.
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
        let request = request.bearer_auth(site.writer.expose());
        let request = request.header("content-type", content_type);
        let answer = request.send().await.unwrap();
        let found = answer.headers().get("grpc-status");
        let found = found.map(|status| status.to_str().unwrap());
        let found = (answer.status().as_u16(), found);
        assert_eq!(found, (status, grpc_status), "{method} {path}");
    }
}

#[tokio::test]
async fn one_limit_counts_both_and_each_is_told_when_to_come_back() {
    let site = Site::open(&[("STOCKADE_RATE_LIMIT__BY_KEY", "2/minute")]).await;
    let mut reader = site.visitor(Some(&site.reader)).await;
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
async fn a_stream_counts_until_its_client_leaves() {
    let site = Site::open(&[
        ("STOCKADE_CONCURRENCY__PER_KEY", "1"),
        ("STOCKADE_RATE_LIMIT__BY_IP", "1000000/second"),
        ("STOCKADE_RATE_LIMIT__BY_KEY", "1000000/second"),
    ])
    .await;
    let mut writer = site.visitor(Some(&site.writer)).await;
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
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("its place is still taken");
}

// R01: both worlds have the peer of their connection, so a limit by address counts both.
#[tokio::test]
async fn the_address_behind_both_is_the_same() {
    let site = Site::open(&[("STOCKADE_RATE_LIMIT__BY_IP", "2/minute")]).await;
    let mut reader = site.visitor(Some(&site.reader)).await;
    assert_eq!(reader.read().await, 200);
    assert_eq!(reader.check().await.unwrap(), 1);
    let mut writer = site.visitor(Some(&site.writer)).await;
    assert_eq!(writer.read().await, 429);
    let status = writer.check().await.unwrap_err();
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "ip");
}

// L05
#[tokio::test]
async fn each_request_is_recorded_once_with_what_its_client_was_told() {
    let site = Site::open(&[]).await;
    let mut nobody = site.visitor(None).await;
    nobody.read().await;
    nobody.check().await.unwrap_err();
    let mut reader = site.visitor(Some(&site.reader)).await;
    reader.read().await;
    reader.check().await.unwrap();

    let written = async {
        loop {
            let records = site.records();
            if records.len() == 4 {
                return records;
            }
            // The last answer may have come before its end was seen.
            tokio::task::yield_now().await;
        }
    };
    let records = tokio::time::timeout(PATIENCE, written).await.unwrap();
    let told = |record: &Value| {
        ["route", "path", "user", "status", "grpc_status"].map(|field| record[field].clone())
    };
    let (note, check) = ("/notes/{name}", "/grpc.health.v1.Health/Check");
    let expected = [
        json!([note, note, "anonymous", 401, null]),
        json!([null, check, "anonymous", 200, 16]),
        json!([note, note, "reader", 200, null]),
        json!([null, check, "reader", 200, 0]),
    ];
    let found: Vec<Value> = records.iter().map(|record| told(record).into()).collect();
    assert_eq!(found, expected);
}
