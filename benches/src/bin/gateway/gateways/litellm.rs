//! The proxy of LiteLLM from PyPI, with one worker per core, a master key and a limit of the rate.

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use super::{CLIENT_KEY, ROOT, UPSTREAM_KEY, run};

const PACKAGE: &str = "litellm[proxy]==1.108.7";

/// The virtual environment.
fn folder() -> PathBuf {
    Path::new(ROOT).join("target/litellm")
}

/// Installs the package, unless it is there.
pub(super) fn install() -> Result<(), Box<dyn Error>> {
    let folder = folder();
    let stamp = folder.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGE) {
        return Ok(());
    }
    let has_venv = Command::new("python3")
        .args(["-c", "import ensurepip, venv"])
        .output();
    if !has_venv.is_ok_and(|output| output.status.success()) {
        let packages = ["python3", "python3-venv"];
        run(Command::new(format!("{ROOT}/scripts/install-packages")).args(packages))?;
    }
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    run(pip.args(["install", "--quiet", "--disable-pip-version-check", PACKAGE]))?;
    Ok(fs::write(stamp, PACKAGE)?)
}

/// The command, and the key that the client sends.
pub(super) fn command(
    files: &Path,
    port: u16,
    upstream: SocketAddr,
) -> Result<(Command, String), Box<dyn Error>> {
    let config = files.join("config.yaml");
    fs::write(
        &config,
        format!(
            "model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: http://{upstream}/v1
      api_key: {UPSTREAM_KEY}
      rpm: 100000000
      max_retries: 0
general_settings:
  master_key: {CLIENT_KEY}
litellm_settings:
  num_retries: 0
"
        ),
    )?;
    let workers = thread::available_parallelism()?.to_string();
    let mut command = Command::new(folder().join("bin/litellm"));
    command.arg("--config").arg(config);
    command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--num_workers", &workers]);
    // Workers that are slow to start are replaced after 5 seconds by default, and never ready.
    command.args(["--timeout_worker_healthcheck", "120"]);
    // As many connections as streams; nothing is fetched, and no request is printed.
    command.envs([
        ("AIOHTTP_CONNECTOR_LIMIT", "4096"),
        ("AIOHTTP_CONNECTOR_LIMIT_PER_HOST", "4096"),
        ("LITELLM_LOCAL_MODEL_COST_MAP", "True"),
        ("LITELLM_LOG", "ERROR"),
        ("LITELLM_MODE", "PRODUCTION"),
    ]);
    Ok((command, CLIENT_KEY.to_owned()))
}
