//! The request that all stacks receive.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::extract::ConnectInfo;
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

/// The request body: a small chat.
pub const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
/// The path of the request.
pub(crate) const PATH: &str = "/v1/chat/completions";
/// The client's address.
pub const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 50_000);

/// The small chat as an OpenAI client sends it, and as axum hands it on.
pub fn request(key: &str) -> Request<Full<Bytes>> {
    request_from(PEER, key)
}

/// The same request from another address.
pub fn request_from(peer: SocketAddr, key: &str) -> Request<Full<Bytes>> {
    Request::post(PATH)
        .header("host", "localhost:8000")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, deflate")
        .header("content-type", "application/json")
        .header("user-agent", "bench")
        .header("content-length", CHAT.len())
        .header("authorization", format!("Bearer {key}"))
        .extension(ConnectInfo(peer))
        .body(Full::new(Bytes::from_static(CHAT.as_bytes())))
        .expect("these parts make a request")
}
