//! A plain hyper server with API keys.
//!
//! ```sh
//! cargo install stockade-example-hyper-keys
//! hyper-keys
//! ```
//! The program creates a key in memory, and prints it with `curl` commands to try it. With
//! `--keys FILE`, the keys come from a file that is watched: keys can be added or revoked while
//! the server runs. `stockade keys new --store FILE --id ada` creates a key and its entry.
//! `hyper-keys --help` lists the options.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "for its user")]

use std::{convert::Infallible, error::Error, net::SocketAddr, path::PathBuf, process::ExitCode};

use bytes::Bytes;
use clap::Parser;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use stockade_core::{context::RequestContext, identity::Principal};
use stockade_key_auth::{
    FileKeyStore, GeneratedKey, KeyAuthLayer, KeyRecord, KeyStore, MemoryKeyStore,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

/// A plain hyper server with API keys.
///
/// Without --keys, the program creates a key and prints it with `curl` commands to try it. The key
/// is valid until the program exits.
#[derive(Debug, Parser)]
#[command(name = "hyper-keys", version)]
struct Arguments {
    /// The address to listen on.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The file with the hashes of the keys (YAML, TOML or JSON); created if it is missing. Changes
    /// take effect within two seconds. Add a key with: stockade keys new --store FILE --id ada
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
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

async fn run(Arguments { listen, keys }: Arguments) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|error| format!("cannot listen on {listen}: {error}"))?;
    let url = format!("http://{}", listener.local_addr()?);
    if let Some(file) = keys {
        let store = FileKeyStore::create_or_open(file)?;
        println!("{url} is up");
        return serve(listener, &store).await;
    }
    let store = MemoryKeyStore::new();
    let key = GeneratedKey::new("sk", "ada".parse()?)?;
    store.insert(KeyRecord::new(key.id().clone(), key.digest()))?;
    println!(
        "KEY={key}\n\
         curl {url} -H \"Authorization: Bearer $KEY\"\n\
         curl {url}\n\n\
         {url} is up",
        key = key.expose()
    );
    serve(listener, &store).await
}

async fn serve<K>(listener: TcpListener, keys: &K) -> Result<(), Box<dyn Error>>
where
    K: KeyStore,
{
    let service = ServiceBuilder::new()
        .layer(KeyAuthLayer::new(keys))
        .service(service_fn(greet));
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A disconnected client is not an error.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn greet(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let name = RequestContext::of(request.extensions())
        .and_then(RequestContext::principal)
        .map_or("anonymous", Principal::id);
    Ok(Response::new(Full::new(format!("Hello, {name}!\n").into())))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn get(address: SocketAddr, authorization: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{authorization}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        response
    }

    #[tokio::test]
    async fn greets_clients_with_a_valid_key() {
        let folder = tempfile::tempdir().unwrap();
        let store = FileKeyStore::create_or_open(folder.path().join("keys.yaml")).unwrap();
        let key = GeneratedKey::new("sk", "ada".parse().unwrap()).unwrap();
        let record = KeyRecord::new(key.id().clone(), key.digest());
        store.create(record).await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = async { serve(listener, &store).await.unwrap() };
        let clients = async {
            let header = format!("authorization: Bearer {}\r\n", key.expose());
            let answer = get(address, &header).await;
            assert!(answer.ends_with("Hello, ada!\n"), "{answer}");
            let refused = get(address, "").await;
            assert!(refused.starts_with("HTTP/1.1 401"), "{refused}");
        };
        tokio::select! {
            () = server => {}
            () = clients => {}
        }
    }
}
