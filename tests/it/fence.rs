//! Hand-composed layers in front of tonic and hyper.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{
    Extensions, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
};
use hyper_util::rt::TokioIo;
use stockade_core::{
    client::PeerAddr,
    clock::Timestamp,
    context::ContextGuard,
    guard::{Guard, GuardLayer},
};
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyRecord, MemoryKeyStore};
use stockade_scope::{Access, ScopeGuard};
use tokio::net::TcpStream;
use tonic::{Code, transport::server::TcpConnectInfo};
use tonic_types::StatusExt;
use tower::{
    ServiceBuilder,
    layer::util::{Identity, Stack},
};

use crate::{
    grpc_server::{GrpcServer, SERVING, question},
    http_server::{HttpServer, TestService},
};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

type Fence = Stack<
    GuardLayer<ScopeGuard>,
    Stack<GuardLayer<KeyAuth>, Stack<GuardLayer<ContextGuard>, Identity>>,
>;

/// Outermost first: client address, authentication, authorization.
fn fence(keys: &MemoryKeyStore) -> Fence {
    let scope = |text: &str| Access::scope(text.parse().unwrap());
    let scopes = ScopeGuard::builder()
        .route(Method::GET, "/", scope("rooms:read"))
        .route(Method::GET, "/cellar", scope("cellar:read"))
        .route(Method::POST, CHECK, scope("rooms:read"))
        .route(Method::POST, WATCH, scope("cellar:read"))
        .build()
        .unwrap();
    ServiceBuilder::new()
        .layer(ContextGuard::new().peer(peer).into_layer())
        .layer(KeyAuth::new(keys).into_layer())
        .layer(scopes.into_layer())
        .into_inner()
}

/// The peer address as tonic or [`HttpServer`] provides it.
fn peer(extensions: &Extensions) -> Option<PeerAddr> {
    let tonic = extensions.get::<TcpConnectInfo>();
    match tonic.and_then(TcpConnectInfo::remote_addr) {
        Some(address) => Some(PeerAddr::from(address)),
        None => extensions.get().copied(),
    }
}

/// A store with one key that has the scope `rooms:read`.
fn keys() -> (MemoryKeyStore, GeneratedKey) {
    let store = MemoryKeyStore::new();
    let key = add(&store, "reader", |record| record);
    (store, key)
}

fn add(
    store: &MemoryKeyStore,
    id: &str,
    change: impl FnOnce(KeyRecord) -> KeyRecord,
) -> GeneratedKey {
    let key = GeneratedKey::new("sk", id.parse().unwrap()).unwrap();
    let record = KeyRecord::new(key.id().clone(), key.digest());
    let record = change(record.scopes("rooms:read".parse().unwrap()));
    store.insert(record).unwrap();
    key
}

fn bearer(key: &GeneratedKey) -> String {
    format!("Bearer {}", key.expose())
}

async fn connect(address: SocketAddr) -> SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let (client, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn get(
    client: &mut SendRequest<Empty<Bytes>>,
    path: &str,
    authorization: Option<&str>,
) -> Response<Incoming> {
    let mut request = Request::get(path).header(HOST, "localhost");
    if let Some(authorization) = authorization {
        request = request.header(AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::new()).unwrap();
    client.ready().await.unwrap();
    client.send_request(request).await.unwrap()
}

#[tokio::test]
async fn http_clients_are_limited_to_the_scopes_of_their_key() {
    let (store, key) = keys();
    let expired = add(&store, "expired", |record| {
        record.expires(Timestamp::from_secs(1))
    });
    let unknown = GeneratedKey::new("sk", "reader".parse().unwrap()).unwrap();
    let server = HttpServer::behind(fence(&store)).await;
    let mut client = connect(server.address).await;

    let (key, expired, unknown) = (bearer(&key), bearer(&expired), bearer(&unknown));
    let missing = "Bearer realm=\"api\"";
    let invalid = "Bearer realm=\"api\", error=\"invalid_token\"";
    let insufficient = "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"cellar:read\"";
    for (path, authorization, status, challenge) in [
        ("/", Some(&*key), StatusCode::OK, None),
        ("/", None, StatusCode::UNAUTHORIZED, Some(missing)),
        (
            "/",
            Some(&*unknown),
            StatusCode::UNAUTHORIZED,
            Some(invalid),
        ),
        (
            "/",
            Some(&*expired),
            StatusCode::UNAUTHORIZED,
            Some(invalid),
        ),
        (
            "/",
            Some("Bearer x"),
            StatusCode::UNAUTHORIZED,
            Some(invalid),
        ),
        (
            "/cellar",
            Some(&*key),
            StatusCode::FORBIDDEN,
            Some(insufficient),
        ),
        ("/attic", Some(&*key), StatusCode::NOT_FOUND, None),
        ("/attic", None, StatusCode::UNAUTHORIZED, Some(missing)),
    ] {
        let response = get(&mut client, path, authorization).await;
        let (head, body) = response.into_parts();
        assert_eq!(head.status, status, "{path} {authorization:?}");
        assert!(head.headers.contains_key("x-request-id"), "{path}");
        let found = head.headers.get(WWW_AUTHENTICATE);
        assert_eq!(
            found.map(|value| value.to_str().unwrap()),
            challenge,
            "{path}"
        );

        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            body == TestService::WELCOME,
            status == StatusCode::OK,
            "{path}"
        );
    }
}

// A08
#[tokio::test]
async fn refuses_a_removed_key_on_an_open_connection() {
    let (store, key) = keys();
    let server = HttpServer::behind(fence(&store)).await;
    let mut client = connect(server.address).await;
    let authorization = bearer(&key);

    let before = get(&mut client, "/", Some(&authorization)).await;
    assert_eq!(before.status(), StatusCode::OK);
    before.into_body().collect().await.unwrap();

    assert!(store.remove(key.id()));
    let after = get(&mut client, "/", Some(&authorization)).await;
    assert_eq!(after.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn grpc_clients_with_a_valid_key_get_a_response() {
    let (store, key) = keys();
    let mut server = GrpcServer::behind(fence(&store)).await;
    let shown = bearer(&key);
    let answer = server.check(Some(("authorization", &shown))).await;
    assert_eq!(answer.unwrap(), SERVING);
    let answer = server.check(Some(("x-api-key", key.expose()))).await;
    assert_eq!(answer.unwrap(), SERVING);
}

#[tokio::test]
async fn grpc_clients_without_a_valid_key_are_unauthenticated() {
    let (store, _) = keys();
    let unknown = GeneratedKey::new("sk", "reader".parse().unwrap()).unwrap();
    let mut server = GrpcServer::behind(fence(&store)).await;
    for shown in [None, Some(bearer(&unknown))] {
        let shown = shown.as_deref().map(|text| ("authorization", text));
        let status = server.check(shown).await.unwrap_err();
        assert_eq!(status.code(), Code::Unauthenticated, "{shown:?}");
        assert!(status.metadata().contains_key("www-authenticate"));

        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "AUTHENTICATION_FAILED");
        // The request id, for questions to the operator.
        assert!(
            !status
                .get_details_request_info()
                .unwrap()
                .request_id
                .is_empty()
        );
    }
}

#[tokio::test]
async fn grpc_clients_without_the_scope_are_denied() {
    let (store, key) = keys();
    let mut server = GrpcServer::behind(fence(&store)).await;
    let shown = bearer(&key);
    let request = question(Some(("authorization", &shown)));
    let status = server.client.watch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert!(status.message().contains("cellar:read"), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "PERMISSION_DENIED");
}

#[tokio::test]
async fn grpc_streams_run_through_the_whole_fence() {
    let (store, _) = keys();
    let key = add(&store, "watcher", |record| {
        record.scopes("*".parse().unwrap())
    });
    let mut server = GrpcServer::behind(fence(&store)).await;
    let shown = bearer(&key);
    let request = question(Some(("authorization", &shown)));
    let stream = server.client.watch(request).await.unwrap();
    let first = stream.into_inner().message().await.unwrap();
    assert_eq!(first.unwrap().status, SERVING);
}
