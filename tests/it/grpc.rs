//! gRPC: a guard between tonic's client and a tonic server.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use stockade_core::guard::Outcome;
use tokio::net::TcpStream;
use tonic::Code;
use tonic_health::ServingStatus;
use tonic_types::StatusExt;

use crate::{
    badge::{self, BADGE, Outcomes},
    grpc_server::{GrpcServer, NOT_SERVING, SERVING, question},
};

const GUEST: Option<(&str, &str)> = Some((BADGE, "guest"));
const VISITOR: Option<(&str, &str)> = Some((BADGE, "visitor"));
const BURGLAR: Option<(&str, &str)> = Some((BADGE, "burglar"));

async fn open() -> (GrpcServer, Outcomes) {
    let (layer, ends) = badge::layer();
    (GrpcServer::behind(layer).await, ends)
}

#[tokio::test]
async fn an_allowed_request_gets_a_response() {
    let (mut server, mut ends) = open().await;
    assert_eq!(server.check(GUEST).await.unwrap(), SERVING);
    assert_eq!(ends.next().await, Outcome::Completed);
}

#[tokio::test]
async fn a_missing_credential_is_unauthenticated() {
    let (mut server, _ends) = open().await;
    let status = server.check(None).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "a badge is needed – \u{1f6e1}");
    assert_eq!(status.metadata().get("www-authenticate").unwrap(), "Badge");

    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "AUTHENTICATION_FAILED");
    assert_eq!(info.domain, "stockade");
}

#[tokio::test]
async fn a_wrong_credential_is_permission_denied() {
    let (mut server, _ends) = open().await;
    let status = server.check(BURGLAR).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "PERMISSION_DENIED");
}

#[tokio::test]
async fn a_limit_names_itself_and_the_retry_delay() {
    let (mut server, _ends) = open().await;
    let status = server.check(VISITOR).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);

    let delay = status.get_details_retry_info().unwrap().retry_delay;
    assert_eq!(delay.unwrap().as_secs(), 7);
    let quota = status.get_details_quota_failure().unwrap();
    assert_eq!(quota.violations[0].subject, "visitors");
    assert_eq!(quota.violations[0].description, "the house is full");
}

#[tokio::test]
async fn a_stream_continues_until_the_client_disconnects() {
    let (mut server, mut ends) = open().await;
    let stream = server.client.watch(question(GUEST)).await;
    let mut stream = stream.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status, SERVING);

    let down = ServingStatus::NotServing;
    server.reporter.set_service_status("", down).await;
    assert_eq!(stream.message().await.unwrap().unwrap().status, NOT_SERVING);
    assert!(ends.is_empty());

    drop(stream);
    assert_eq!(ends.next().await, Outcome::Dropped);
}

#[tokio::test]
async fn a_refused_stream_never_starts() {
    let (mut server, _ends) = open().await;
    let status = server.client.watch(question(None)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn one_connection_carries_refusals_and_responses() {
    let (mut server, _ends) = open().await;
    for _ in 0..3 {
        server.check(None).await.unwrap_err();
        server.check(GUEST).await.unwrap();
    }
}

#[tokio::test]
async fn the_status_of_a_response_stays_in_its_trailers() {
    let (server, _ends) = open().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let io = TokioIo::new(stream);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);

    // An empty message: not compressed, length zero.
    let body = Full::new(Bytes::from_static(&[0; 5]));
    let uri = format!("http://{}/grpc.health.v1.Health/Check", server.address);
    let request = Request::post(uri)
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
