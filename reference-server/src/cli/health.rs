//! Asks a running server for its health: for containers and service managers, without a shell.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use http::{Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::ClientConfig;
use serde::Deserialize;
use stockade::Environment;
use stockade_server_config::{ClientAuth, ServerFile, TlsConfig};
use tokio::time;

use super::print;
use crate::{StartError, api::routes, tls};

/// The summary is a single word.
const MAX_BODY_BYTES: usize = 4 * 1024;

/// Ask a running server for its health: exit code 0 if it is ready, otherwise 1
#[derive(Debug, Args)]
#[command(after_long_help = "\
With --config, the address is server.listen of the file, or STOCKADE_SERVER__LISTEN.
If the server uses TLS, it must present the certificate of the file.")]
pub(crate) struct HealthArgs {
    /// The configuration file of the server
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    config: Option<PathBuf>,
    /// The URL of the server, without a path
    #[arg(long, default_value = "http://127.0.0.1:8000", value_parser = server_url)]
    url: Uri,
    /// Ask only whether the process responds, regardless of its model
    #[arg(long)]
    live: bool,
    /// The timeout for the response
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    timeout: u16,
}

#[derive(Deserialize)]
struct Summary {
    status: String,
}

pub(super) async fn run(args: HealthArgs) -> Result<(), StartError> {
    let path = if args.live {
        routes::LIVE
    } else {
        routes::READY
    };
    let (base, tls) = match &args.config {
        Some(file) => configured(file)?,
        None => (args.url, tls::trust_public_roots()),
    };
    let url = with_path(&base, path)?;
    let timeout = Duration::from_secs(args.timeout.into());
    let Ok(asked) = time::timeout(timeout, ask(url.clone(), tls)).await else {
        let secs = args.timeout;
        return Err(StartError::new(format!(
            "{url} has not responded within {secs} s"
        )));
    };
    let (code, status) = asked?;
    match code {
        StatusCode::OK => print(&status),
        _ => Err(StartError::new(format!("{url}: {status} ({code})"))),
    }
}

/// Parses the URL of a server.
fn server_url(text: &str) -> Result<Uri, String> {
    let example = "use http://HOST:PORT or https://HOST:PORT";
    let url: Uri = text
        .parse()
        .map_err(|error| format!("{error}; {example}"))?;
    let is_base = matches!(
        url.path_and_query().map(|path| path.as_str()),
        None | Some("/")
    );
    match url.scheme_str() {
        Some("http" | "https") if is_base => Ok(url),
        _ => Err(example.to_owned()),
    }
}

/// The URL of the server with this configuration, on this machine, and the trust in it.
fn configured(path: &Path) -> Result<(Uri, ClientConfig), StartError> {
    let environment = Environment::from_process().legacy_names();
    let file = ServerFile::read(path, &environment);
    let server = file
        .map_err(|error| StartError::new(error.to_string()))?
        .server;
    let address = reachable(server.listen);
    let (scheme, trust) = match &server.tls {
        Some(files) if demands_certificates(files) => {
            return Err(StartError::new(
                "server.tls.client_auth: clients need a certificate, and this command has none; \
                 check the port instead, or set it to \"optional\"",
            ));
        }
        Some(files) => ("https", tls::trust_certificate(&files.certificate_file)?),
        None => ("http", tls::trust_public_roots()),
    };
    let url = format!("{scheme}://{address}").parse();
    let url = url.map_err(|error| StartError::context("server.listen", &error))?;
    Ok((url, trust))
}

/// Whether the server closes connections of clients without a certificate.
fn demands_certificates(tls: &TlsConfig) -> bool {
    tls.client_ca_file.is_some() && tls.client_auth != Some(ClientAuth::Optional)
}

/// The address at which this machine reaches a listener on all its addresses.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

fn with_path(base: &Uri, path: &'static str) -> Result<Uri, StartError> {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(http::uri::PathAndQuery::from_static(path));
    Uri::from_parts(parts).map_err(|error| StartError::context("the URL is invalid", &error))
}

/// Returns the status code, and the word in the body.
async fn ask(url: Uri, tls: ClientConfig) -> Result<(StatusCode, String), StartError> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    let connector = HttpsConnector::from((tcp, tls));
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let response = client.get(url.clone()).await;
    let response = response
        .map_err(|error| StartError::context(&format!("{url} cannot be reached"), &error))?;
    Ok((response.status(), summary(response).await))
}

/// The word in the body: other servers, such as a proxy in front, have other bodies.
async fn summary(response: Response<Incoming>) -> String {
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES);
    let body = body.collect().await.map(|body| body.to_bytes());
    body.ok()
        .and_then(|body| serde_json::from_slice::<Summary>(&body).ok())
        .map_or_else(|| "no status".to_owned(), |summary| summary.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_urls_of_servers_only() {
        for url in [
            "http://127.0.0.1:8000",
            "https://api.example.com/",
            "http://[::1]:1",
        ] {
            assert!(server_url(url).is_ok(), "{url}");
        }
        for url in [
            "127.0.0.1:8000",
            "ftp://a",
            "http://a/b",
            "http://a/?b",
            "http://a b",
            "",
        ] {
            assert!(server_url(url).is_err(), "{url}");
        }
    }

    #[test]
    fn connects_to_loopback_when_the_server_listens_on_all_addresses() {
        for (listen, expected) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:8443", "[::1]:8443"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(listen.parse().unwrap()).to_string(), expected);
        }
    }
}
