//! `stockade-server` with the whole fence: keys with scopes, two limits of the rate, concurrency,
//! a token budget, bans, validation of the body, and records in a file.

use std::{error::Error, fs, net::SocketAddr, path::Path, process::Command};

use stockade_benches::make_key;

use super::UPSTREAM_KEY;

/// The command, and the key that the client sends.
pub(super) fn command(
    server: &Path,
    folder: &Path,
    port: u16,
    upstream: SocketAddr,
) -> Result<(Command, String), Box<dyn Error>> {
    let keys = folder.join("keys.yaml");
    if keys.exists() {
        fs::remove_file(&keys)?;
    }
    fs::write(folder.join("upstream.key"), UPSTREAM_KEY)?;
    let key = make_key(server, &keys, "bench")?;
    let config = folder.join("stockade.toml");
    fs::write(
        &config,
        format!(
            r#"[server]
listen = "127.0.0.1:{port}"
max_connections = 4096

[[models]]
name = "bench"
upstream = [{{ url = "http://{upstream}/v1", api_key_file = "upstream.key" }}]
max_running = 4096

[auth]
keys_file = "keys.yaml"

[rate_limit]
by_ip = ["1000000/second"]
by_key = ["1000000/second"]

[concurrency]
per_key = 4096
total = 4096

[token_budget]
by_key = ["100000000/second"]

[abuse]
threshold = 5
ban_loopback = true

[audit]
file = "app.log"
security_file = "audit.log"
"#
        ),
    )?;
    let mut command = Command::new(server);
    command.arg("serve").arg("--config").arg(config);
    Ok((command, key))
}
