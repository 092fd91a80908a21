//! HTTP/1.1 on the wire: a refusal keeps the connection open, and the body of a refused
//! request is not read.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Method, Request, StatusCode, header::CONTENT_LENGTH};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use stockade_core::guard::Outcome;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    badge::{self, BADGE},
    http_server::{HttpServer, TestService},
};

/// The most bytes that a server may read of a request that it refuses (S07).
const TAKEN_AT_MOST: u64 = 64 * 1_024;

/// Opens one connection; the client never opens a second one.
async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

fn request(method: Method, path: &str, badge: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost");
    if let Some(badge) = badge {
        request = request.header(BADGE, badge);
    }
    request.body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_refusal_keeps_the_connection_open() {
    let (layer, mut ends) = badge::layer();
    let server = HttpServer::behind(layer).await;
    let mut client = connect(server.address).await;

    for (badge, status) in [
        (None, StatusCode::UNAUTHORIZED),
        (Some("guest"), StatusCode::OK),
        (Some("visitor"), StatusCode::TOO_MANY_REQUESTS),
        (Some("burglar"), StatusCode::FORBIDDEN),
        (Some("guest"), StatusCode::OK),
    ] {
        client.ready().await.unwrap();
        let response = client.send_request(request(Method::GET, "/", badge)).await;
        let response = response.unwrap();
        assert_eq!(response.status(), status, "{badge:?}");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        if status == StatusCode::OK {
            assert_eq!(body, TestService::WELCOME);
            assert_eq!(ends.next().await, Outcome::Completed);
        } else {
            assert!(body.starts_with(b"{\"error\":{"), "{body:?}");
            assert!(ends.is_empty());
        }
    }
}

#[tokio::test]
async fn head_requests_get_the_head_of_get_without_a_body() {
    let (layer, mut ends) = badge::layer();
    let server = HttpServer::behind(layer).await;
    let mut client = connect(server.address).await;

    for badge in [None, Some("guest")] {
        client.ready().await.unwrap();
        let get = client.send_request(request(Method::GET, "/", badge)).await;
        let (get, body) = get.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();

        client.ready().await.unwrap();
        let head = client.send_request(request(Method::HEAD, "/", badge)).await;
        let (head, nothing) = head.unwrap().into_parts();
        assert!(nothing.collect().await.unwrap().to_bytes().is_empty());

        assert_eq!(head.status, get.status);
        assert_eq!(head.headers[CONTENT_LENGTH], body.len().to_string());
    }
    assert_eq!(ends.next().await, Outcome::Completed);
    assert_eq!(ends.next().await, Outcome::Completed);
}

// S07
#[tokio::test]
async fn does_not_read_the_body_of_a_refused_request() {
    let (layer, _ends) = badge::layer();
    let server = HttpServer::behind(layer).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 104857600\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();

    let (mut incoming, mut outgoing) = stream.into_split();
    tokio::spawn(async move {
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            // The server closes the connection long before the end.
            if outgoing.write_all(&chunk).await.is_err() {
                break;
            }
        }
    });
    let answer = read(&mut incoming).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?}");
    assert!(server.taken() <= TAKEN_AT_MOST, "{} read", server.taken());
}

// S07
#[tokio::test]
async fn a_refusal_does_not_wait_for_the_body() {
    let (layer, _ends) = badge::layer();
    let server = HttpServer::behind(layer).await;
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: localhost\r\n{expect}content-length: 104857600\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // The body is never sent.
        let answer = read(&mut stream).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer:?}");
        assert!(answer.ends_with("\"}}"), "{answer:?}");
    }
}

// R10
#[tokio::test]
async fn a_disconnected_client_ends_the_response() {
    let (layer, mut ends) = badge::layer();
    let server = HttpServer::behind(layer).await;
    let mut client = connect(server.address).await;
    let response = client
        .send_request(request(Method::GET, "/endless", Some("guest")))
        .await;
    let mut response = response.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert!(ends.is_empty());

    drop((response, client));
    assert_eq!(ends.next().await, Outcome::Dropped);
}

/// Reads until the server closes the connection, or resets it because of the unread body.
async fn read(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut answer = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        answer.extend_from_slice(&chunk[..length]);
    }
    String::from_utf8(answer).unwrap()
}
