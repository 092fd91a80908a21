//! nginx with a map of keys, a limit of the rate by address and one by key, a limit of concurrent
//! requests, and a log.

use std::{error::Error, fs, net::SocketAddr, path::Path, process::Command};

use super::{CLIENT_KEY, UPSTREAM_KEY};

/// The command, and the key that the client sends.
pub(super) fn command(
    folder: &Path,
    port: u16,
    upstream: SocketAddr,
) -> Result<(Command, String), Box<dyn Error>> {
    let config = folder.join("nginx.conf");
    fs::write(
        &config,
        format!(
            r#"daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 8192; }}
http {{
    access_log access.log combined buffer=64k flush=1s;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    # Responses are small, and streams must not wait.
    tcp_nodelay on;
    keepalive_requests 100000000;
    # Bodies stay in memory.
    client_max_body_size 20m;
    client_body_buffer_size 1m;
    map $http_authorization $principal {{
        default "";
        "Bearer {CLIENT_KEY}" bench;
    }}
    limit_req_zone $binary_remote_addr zone=address:10m rate=1000000r/s;
    limit_req_zone $principal zone=key:10m rate=1000000r/s;
    limit_conn_zone $principal zone=running:10m;
    upstream model {{
        server {upstream};
        keepalive 1024;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location = /v1/chat/completions {{
            if ($principal = "") {{ return 401; }}
            limit_req zone=address burst=100000 nodelay;
            limit_req zone=key burst=100000 nodelay;
            limit_conn running 4096;
            proxy_pass http://model;
            proxy_http_version 1.1;
            proxy_buffering off;
            proxy_set_header Connection "";
            proxy_set_header Authorization "Bearer {UPSTREAM_KEY}";
        }}
    }}
}}
"#
        ),
    )?;
    let mut command = Command::new("nginx");
    // The directory of relative paths, and the log before the configuration is read.
    command
        .arg("-p")
        .arg(folder)
        .args(["-e", "error.log", "-c"])
        .arg(config);
    Ok((command, CLIENT_KEY.to_owned()))
}
