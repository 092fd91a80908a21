//! A tonic server with API keys and scopes, and a client that is refused.
//!
//! ```sh
//! cargo run -p stockade-example-tonic-keys
//! ```
//! The program serves the standard health service, calls it without a key and with two keys,
//! and prints the results: `UNAUTHENTICATED`, `PERMISSION_DENIED` with details, and a
//! response.

use std::{error::Error, net::SocketAddr};

use http::Method;
use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, MemoryKeyStore};
use stockade_scope::{Access, ScopeLayer};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Request, Status,
    transport::{Channel, Server},
};
use tonic_health::{
    ServingStatus,
    pb::{HealthCheckRequest, health_client::HealthClient},
    server::health_reporter,
};
use tonic_types::StatusExt;

/// The route of a gRPC method is its path.
const CHECK: &str = "/grpc.health.v1.Health/Check";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = MemoryKeyStore::new();
    let good = add_key(&store, "prober", "health:read")?;
    let other = add_key(&store, "visitor", "notes:read")?;
    let (address, server) = serve(&store).await?;
    let mut client = connect(address).await?;
    for (name, key) in [
        ("no key", None),
        ("visitor", Some(&other)),
        ("prober", Some(&good)),
    ] {
        say(&format!(
            "{name}:\n  {}",
            describe(check(&mut client, key).await)
        ))?;
    }
    server.abort();
    Ok(())
}

fn say(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
}

fn add_key(store: &MemoryKeyStore, id: &str, scopes: &str) -> Result<GeneratedKey, Box<dyn Error>> {
    let key = GeneratedKey::new("sk", id.parse()?)?;
    let record = KeyRecord::new(key.id().clone(), key.digest()).scopes(scopes.parse()?);
    store.insert(record)?;
    Ok(key)
}

/// Starts the server on a free port, with the same layers as any other tower service.
async fn serve(
    keys: &MemoryKeyStore,
) -> Result<(SocketAddr, JoinHandle<Result<(), tonic::transport::Error>>), Box<dyn Error>> {
    let scopes = ScopeLayer::builder()
        .route(Method::POST, CHECK, Access::scope("health:read".parse()?))
        .build()?;
    let (reporter, health) = health_reporter();
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = Server::builder()
        .layer(KeyAuthLayer::new(keys))
        .layer(scopes)
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener));
    Ok((address, tokio::spawn(server)))
}

async fn connect(address: SocketAddr) -> Result<HealthClient<Channel>, Box<dyn Error>> {
    let channel = Channel::from_shared(format!("http://{address}"))?
        .connect()
        .await?;
    Ok(HealthClient::new(channel))
}

async fn check(
    client: &mut HealthClient<Channel>,
    key: Option<&GeneratedKey>,
) -> Result<i32, Status> {
    let mut request = Request::new(HealthCheckRequest::default());
    if let Some(key) = key {
        let bearer = format!("Bearer {}", key.expose());
        let value = bearer.parse().expect("a key is visible ASCII");
        request.metadata_mut().insert("authorization", value);
    }
    Ok(client.check(request).await?.into_inner().status)
}

fn describe(answer: Result<i32, Status>) -> String {
    match answer {
        Ok(status) => format!("a response: serving status {status}"),
        Err(status) => {
            let details = status.get_error_details();
            let reason = details.error_info().map(|info| info.reason.as_str());
            format!(
                "{:?}: {} (reason {})",
                status.code(),
                status.message(),
                reason.unwrap_or("-")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn refusals_are_statuses_with_details() {
        let store = MemoryKeyStore::new();
        let good = add_key(&store, "prober", "health:read").unwrap();
        let other = add_key(&store, "visitor", "notes:read").unwrap();
        let (address, server) = serve(&store).await.unwrap();
        let mut client = connect(address).await.unwrap();

        assert_eq!(check(&mut client, Some(&good)).await.unwrap(), 1);
        for (key, code, reason) in [
            (None, Code::Unauthenticated, "AUTHENTICATION_FAILED"),
            (Some(&other), Code::PermissionDenied, "PERMISSION_DENIED"),
        ] {
            let status = check(&mut client, key).await.unwrap_err();
            assert_eq!(status.code(), code);
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, reason);
        }
        server.abort();
    }
}
