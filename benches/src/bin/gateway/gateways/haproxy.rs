//! HAProxy with a map of keys, and a table with the rate of each address and of each key.

use std::{error::Error, fs, net::SocketAddr, path::Path, process::Command};

use super::{CLIENT_KEY, UPSTREAM_KEY};

/// The command, and the key that the client sends.
pub(super) fn command(
    folder: &Path,
    port: u16,
    upstream: SocketAddr,
) -> Result<(Command, String), Box<dyn Error>> {
    let keys = folder.join("keys.map");
    fs::write(&keys, format!("{CLIENT_KEY} bench\n"))?;
    let keys = keys.display();
    let config = folder.join("haproxy.cfg");
    fs::write(
        &config,
        format!(
            r#"global
    maxconn 8192

defaults
    mode http
    maxconn 8192
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    # Streams must not wait.
    option http-no-delay

backend addresses
    stick-table type ip size 100k expire 10m store http_req_rate(60s)

backend keys
    stick-table type string len 64 size 100k expire 10m store http_req_rate(60s)

frontend clients
    bind 127.0.0.1:{port} backlog 4096
    http-request track-sc0 src table addresses
    http-request deny deny_status 429 if {{ sc_http_req_rate(0) gt 100000000 }}
    http-request set-var(txn.key) req.hdr(authorization),word(2,' ')
    http-request deny deny_status 401 unless {{ var(txn.key),map_str({keys}) -m found }}
    http-request track-sc1 var(txn.key) table keys
    http-request deny deny_status 429 if {{ sc_http_req_rate(1) gt 100000000 }}
    http-request set-header authorization "Bearer {UPSTREAM_KEY}"
    default_backend model

backend model
    http-reuse always
    server first {upstream} pool-max-conn 1024
"#
        ),
    )?;
    let mut command = Command::new("haproxy");
    command.arg("-db").arg("-f").arg(config);
    Ok((command, CLIENT_KEY.to_owned()))
}
