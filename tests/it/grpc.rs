//! gRPC: a real tonic server with the health service, and tonic's own client.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use stockade_core::End;
use tokio::net::{TcpListener, TcpStream};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status,
    metadata::MetadataValue,
    transport::{Channel, Server},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_check_response, health_client::HealthClient},
    server::HealthReporter,
};
use tonic_types::StatusExt;

use crate::badge::{self, BADGE, Ends};

/// The health service behind a badge.
struct Clinic {
    address: SocketAddr,
    client: HealthClient<Channel>,
    reporter: HealthReporter,
    ends: Ends,
}

impl Clinic {
    async fn open() -> Self {
        let (layer, ends) = badge::layer();
        let (reporter, service) = tonic_health::server::health_reporter();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::builder()
            .layer(layer)
            .serve_with_incoming(service, TcpListenerStream::new(listener));
        tokio::spawn(server);

        let uri = Uri::try_from(format!("http://{address}")).unwrap();
        let channel = Channel::builder(uri).connect().await.unwrap();
        Self {
            address,
            client: HealthClient::new(channel),
            reporter,
            ends,
        }
    }

    async fn check(&mut self, badge: Option<&'static str>) -> Result<i32, Status> {
        let response = self.client.check(question(badge)).await?;
        Ok(response.into_inner().status)
    }
}

/// Asks for the health of the server as a whole.
fn question(badge: Option<&'static str>) -> tonic::Request<HealthCheckRequest> {
    let mut request = tonic::Request::new(HealthCheckRequest::default());
    if let Some(badge) = badge {
        let badge = MetadataValue::from_static(badge);
        request.metadata_mut().insert(BADGE, badge);
    }
    request
}

const SERVING: i32 = health_check_response::ServingStatus::Serving as i32;
const NOT_SERVING: i32 = health_check_response::ServingStatus::NotServing as i32;

#[tokio::test]
async fn a_guest_gets_an_answer() {
    let mut clinic = Clinic::open().await;
    assert_eq!(clinic.check(Some("guest")).await.unwrap(), SERVING);
    assert_eq!(clinic.ends.next().await, End::Completed);
}

#[tokio::test]
async fn a_missing_credential_is_unauthenticated() {
    let mut clinic = Clinic::open().await;
    let status = clinic.check(None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "a badge is needed – \u{1f6e1}");
    assert_eq!(status.metadata().get("www-authenticate").unwrap(), "Badge");

    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "AUTHENTICATION_FAILED");
    assert_eq!(info.domain, "stockade");
}

#[tokio::test]
async fn a_wrong_credential_is_permission_denied() {
    let mut clinic = Clinic::open().await;
    let status = clinic.check(Some("burglar")).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_limit_says_which_one_and_when_to_retry() {
    let mut clinic = Clinic::open().await;
    let status = clinic.check(Some("visitor")).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);

    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay.unwrap().as_secs(), 7);
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "visitors");
    assert_eq!(quota.violations[0].description, "the house is full");
}

#[tokio::test]
async fn a_stream_runs_through_the_fence_until_the_client_leaves() {
    let mut clinic = Clinic::open().await;
    let stream = clinic.client.watch(question(Some("guest"))).await;
    let mut stream = stream.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, SERVING);

    let down = ServingStatus::NotServing;
    clinic.reporter.set_service_status("", down).await;
    assert_eq!(stream.message().await.unwrap().unwrap().status, NOT_SERVING);
    assert!(clinic.ends.is_empty());

    drop(stream);
    assert_eq!(clinic.ends.next().await, End::Dropped);
}

#[tokio::test]
async fn a_refused_stream_ends_before_it_begins() {
    let mut clinic = Clinic::open().await;
    let status = clinic.client.watch(question(None)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn one_connection_carries_refusals_and_answers() {
    let mut clinic = Clinic::open().await;
    for _ in 0..3 {
        clinic.check(None).await.unwrap_err();
        clinic.check(Some("guest")).await.unwrap();
    }
}

#[tokio::test]
async fn the_status_of_an_answer_stays_in_its_trailers() {
    let clinic = Clinic::open().await;
    let stream = TcpStream::connect(clinic.address).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .unwrap();
    tokio::spawn(connection);

    // An empty message: no compression, and a length of zero.
    let body = Full::new(Bytes::from_static(&[0; 5]));
    let request = Request::post(format!(
        "http://{}/grpc.health.v1.Health/Check",
        clinic.address
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .header(BADGE, "guest")
    .body(body)
    .unwrap();
    let response = client.send_request(request).await.unwrap();
    assert!(!response.headers().contains_key("grpc-status"));
    let body = response.into_body().collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-status"], "0");
}
