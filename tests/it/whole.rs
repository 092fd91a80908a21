//! The whole fence, built from one configuration, around a tonic server.

use std::fs;

use http::Extensions;
use stockade::{Config, Environment, Fence, Format};
use stockade_core::client::PeerAddr;
use stockade_key_auth::{GeneratedKey, KeyRecord, to_yaml};
use tempfile::TempDir;
use tonic::{Code, transport::server::TcpConnectInfo};
use tonic_health::ServingStatus;
use tonic_types::StatusExt;

use crate::grpc_server::{GrpcServer, NOT_SERVING, SERVING, question};

struct Fixture {
    folder: TempDir,
    fence: Fence,
    server: GrpcServer,
    bearer: String,
}

async fn open(settings: &str) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let key = GeneratedKey::new("sk", "team".parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    let record = record.scopes("health:read".parse().unwrap());
    let keys = format!("keys:\n{}", to_yaml(&record));
    fs::write(folder.path().join("keys.yaml"), keys).unwrap();
    let text = format!(
        "[auth]\nkeys_file = \"keys.yaml\"\n\
         [[routes]]\npath = \"/grpc.health.v1.Health/Check\"\nmethods = \"POST\"\n\
         access = \"health:read\"\n{settings}"
    );
    let mut config = Config::parse(&text, Format::Toml, &Environment::default()).unwrap();
    config.resolve_paths(folder.path());
    let fence = Fence::builder(&config).peer(peer).build().await.unwrap();
    let server = GrpcServer::behind(fence.layer()).await;
    Fixture {
        folder,
        fence,
        server,
        bearer: format!("Bearer {}", key.expose()),
    }
}

fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let connection: &TcpConnectInfo = extensions.get()?;
    connection.remote_addr.map(PeerAddr::from)
}

impl Fixture {
    async fn check(&mut self) -> Result<i32, tonic::Status> {
        let bearer = self.bearer.clone();
        self.server.check(Some(("authorization", &bearer))).await
    }
}

#[tokio::test]
async fn only_a_valid_key_reaches_the_service() {
    let mut fixture = open("").await;
    assert_eq!(fixture.check().await.unwrap(), SERVING);
    let status = fixture.server.check(None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    // A method without a rule is denied.
    let watch = question(Some(("authorization", &fixture.bearer)));
    let status = fixture.server.client.watch(watch).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn a_limit_is_resource_exhausted_with_details() {
    let mut fixture = open("[rate_limit]\nby_key = \"1/minute\"\n").await;
    assert_eq!(fixture.check().await.unwrap(), SERVING);
    let status = fixture.check().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let delay = status
        .get_details_retry_info()
        .unwrap()
        .retry_delay
        .unwrap();
    assert!((1..=60).contains(&delay.as_secs()), "{delay:?}");
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "key");
    assert_eq!(
        status.get_details_error_info().unwrap().reason,
        "RATE_LIMITED"
    );
}

#[tokio::test]
async fn bans_a_client_that_guesses_keys_with_a_grpc_status() {
    let mut fixture = open("[abuse]\nban_loopback = true\nban_valid_keys = true\n").await;
    for number in 0..5 {
        let guess = format!("Bearer wrong-{number}");
        let status = fixture.server.check(Some(("authorization", &guess))).await;
        assert_eq!(status.unwrap_err().code(), Code::Unauthenticated);
    }
    let status = fixture.check().await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.get_details_error_info().unwrap().reason, "BANNED");
    let client = "127.0.0.1".parse().unwrap();
    assert!(fixture.fence.detector().unwrap().unban(&client));
    assert_eq!(fixture.check().await.unwrap(), SERVING);
}

#[tokio::test]
async fn a_limit_by_key_precedes_the_scope_of_a_method() {
    let mut fixture = open("[rate_limit]\nby_key = \"1/minute\"\n").await;
    assert_eq!(fixture.check().await.unwrap(), SERVING);
    let watch = question(Some(("authorization", &fixture.bearer)));
    let status = fixture.server.client.watch(watch).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
}

// A08
#[tokio::test]
async fn a_stream_ends_with_a_status_when_its_key_is_revoked() {
    let mut fixture = open(
        "[[routes]]\npath = \"/grpc.health.v1.Health/Watch\"\nmethods = \"POST\"\n\
         access = \"health:read\"\n",
    )
    .await;
    let shown = Some(("authorization", &*fixture.bearer));
    let stream = fixture.server.client.watch(question(shown)).await.unwrap();
    let mut stream = stream.into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, SERVING);
    fixture
        .server
        .reporter
        .set_service_status("", ServingStatus::NotServing)
        .await;
    assert_eq!(stream.message().await.unwrap().unwrap().status, NOT_SERVING);

    let keys = fixture.folder.path().join("keys.yaml");
    fs::write(keys, "keys: []\n").unwrap();
    let status = stream.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "the API key is not valid");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "AUTHENTICATION_FAILED");
    assert!(status.get_details_request_info().is_some());
}
