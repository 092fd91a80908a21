//! A plain hyper server with API keys from a file.
//!
//! ```sh
//! cargo run -p stockade-example-hyper-keys -- keys.yaml
//! ```
//! The file is watched: keys can be added or removed while the server runs. `stockade keys
//! new` creates a key and its entry.

use std::{convert::Infallible, error::Error, path::PathBuf};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use stockade_core::{context::RequestContext, identity::Principal};
use stockade_key_auth::{FileKeyStore, KeyAuthLayer};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

const ADDRESS: &str = "127.0.0.1:8081";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("usage: hyper-keys KEY_FILE")?;
    let store = FileKeyStore::create_or_open(PathBuf::from(path))?;
    let listener = TcpListener::bind(ADDRESS).await?;
    say(&format!("http://{ADDRESS} is up"))?;
    serve(listener, &store).await
}

fn say(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{text}")
}

async fn serve(listener: TcpListener, keys: &FileKeyStore) -> Result<(), Box<dyn Error>> {
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
    use std::net::SocketAddr;

    use stockade_key_auth::{GeneratedKey, KeyRecord, KeyStore};
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
