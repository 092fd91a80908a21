//! A tonic server with API keys and scopes.
//!
//! ```sh
//! cargo install stockade-example-tonic-keys
//! tonic-keys
//! ```
//! The program serves the standard health service. It creates two keys in memory, and prints them
//! with `curl` commands: without a key the status is `UNAUTHENTICATED`, and with a key that lacks
//! the scope `PERMISSION_DENIED`, both with details. `tonic-keys --help` lists the options.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for its user")]

use std::{error::Error, net::SocketAddr, process::ExitCode};

use clap::Parser;
use http::Method;
use stockade_key_auth::{GeneratedKey, KeyAuthLayer, KeyRecord, KeyStore, MemoryKeyStore};
use stockade_scope::{Access, ScopeLayer};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic_health::{ServingStatus, server::health_reporter};

/// The route of a gRPC method is its path.
const CHECK: &str = "/grpc.health.v1.Health/Check";

/// A tonic server with API keys and scopes.
///
/// The program serves the standard health service. It creates a key that may call it and one that
/// may not, and prints them with `curl` commands to try them. The keys are valid until the program
/// exits.
#[derive(Debug, Parser)]
#[command(name = "tonic-keys", version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(Arguments { listen }: Arguments) -> Result<(), Box<dyn Error>> {
    let store = MemoryKeyStore::new();
    let prober = add_key(&store, "prober", "health:read")?;
    let visitor = add_key(&store, "visitor", "notes:read")?;
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    println!(
        "A key that may call the health service, and one that may not:\n\n\
         KEY={prober}\n\
         OTHER={visitor}\n\
         check() {{ printf '\\0\\0\\0\\0\\0' | curl -i --output - --http2-prior-knowledge \\\n  \
         --data-binary @- -H 'Content-Type: application/grpc' -H 'TE: trailers' \\\n  \
         {url}{CHECK} \"$@\"; }}\n\
         check -H \"Authorization: Bearer $KEY\"\n\
         check -H \"Authorization: Bearer $OTHER\"\n\
         check\n\n\
         {url} is up",
        prober = prober.expose(),
        visitor = visitor.expose(),
    );
    serve(listener, &store).await
}

fn add_key(store: &MemoryKeyStore, id: &str, scopes: &str) -> Result<GeneratedKey, Box<dyn Error>> {
    let key = GeneratedKey::new("sk", id.parse()?)?;
    let record = KeyRecord::new(key.id().clone(), key.digest()).scopes(scopes.parse()?);
    store.insert(record)?;
    Ok(key)
}

/// Serves with the same layers as any other tower service.
async fn serve<K>(listener: TcpListener, keys: &K) -> Result<(), Box<dyn Error>>
where
    K: KeyStore,
{
    let scopes = ScopeLayer::builder()
        .route(Method::POST, CHECK, Access::scope("health:read".parse()?))
        .build()?;
    let (reporter, health) = health_reporter();
    reporter
        .set_service_status("", ServingStatus::Serving)
        .await;
    Server::builder()
        .layer(KeyAuthLayer::new(keys))
        .layer(scopes)
        .add_service(health)
        .serve_with_incoming(TcpListenerStream::new(listener))
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Request, Status, transport::Channel};
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_types::StatusExt;

    use super::*;

    async fn check(
        client: &mut HealthClient<Channel>,
        key: Option<&GeneratedKey>,
    ) -> Result<i32, Status> {
        let mut request = Request::new(HealthCheckRequest::default());
        if let Some(key) = key {
            let bearer = format!("Bearer {}", key.expose()).parse().unwrap();
            request.metadata_mut().insert("authorization", bearer);
        }
        Ok(client.check(request).await?.into_inner().status)
    }

    #[tokio::test]
    async fn refusals_are_statuses_with_details() {
        let store = MemoryKeyStore::new();
        let prober = add_key(&store, "prober", "health:read").unwrap();
        let visitor = add_key(&store, "visitor", "notes:read").unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async { serve(listener, &store).await.unwrap() };
        let client = async {
            let channel = Channel::from_shared(format!("http://{address}")).unwrap();
            let mut client = HealthClient::new(channel.connect().await.unwrap());
            assert_eq!(check(&mut client, Some(&prober)).await.unwrap(), 1);
            for (key, code, reason) in [
                (None, Code::Unauthenticated, "AUTHENTICATION_FAILED"),
                (Some(&visitor), Code::PermissionDenied, "PERMISSION_DENIED"),
            ] {
                let status = check(&mut client, key).await.unwrap_err();
                assert_eq!(status.code(), code);
                let details = status.get_error_details();
                assert_eq!(details.error_info().unwrap().reason, reason);
            }
        };
        tokio::select! {
            () = server => panic!("the server ended"),
            () = client => {}
        }
    }
}
