//! `stockade-server init`: writes a configuration for production, with a first key.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    path::PathBuf,
};

use clap::Args;
use stockade::{Environment, Finding};
use stockade_core::client::IpPrefix;
use stockade_key_auth::{GeneratedKey, KeyId};
use stockade_server_config::{ServerFile, UpstreamUrl, listen_address};

mod answers;
mod config;
mod folder;
mod prompt;
mod shell;
mod unit;

use crate::{
    StartError, TlsConfig,
    cli::{key, print},
    tls::Identity,
};
use answers::{Answers, Transport};
use folder::{AUDIT_KEY, CONFIG, KEYS, Staging};

/// Write a configuration for production, with a first key
///
/// Writes stockade.toml, a key file, a key for the chain of audit records, an empty deny-list and a
/// systemd unit, and prints the first key once. On a terminal, it asks for what no flag sets.
/// Nothing is written unless the result passes `stockade check --strict`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  stockade-server init
  stockade-server init --dir /etc/stockade --listen 0.0.0.0:8443 \\
      --upstream http://127.0.0.1:9000/v1 --name holo \\
      --tls-certificate fullchain.pem --tls-key privkey.pem
  stockade-server init --dir /etc/stockade --listen 10.0.0.5:8000 \\
      --model Hcompany/Holo1.5-7B --behind-proxy 10.0.0.1/32")]
pub(crate) struct InitArgs {
    /// The directory to write to; created if it does not exist
    #[arg(long)]
    dir: Option<PathBuf>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// A model directory, a GGUF file, or a Hugging Face Hub repository (owner/name)
    #[arg(long, value_name = "DIR_OR_HUB_ID", conflicts_with = "upstream")]
    model: Option<String>,
    /// The base URL of a server with an OpenAI-compatible API, such as http://127.0.0.1:9000/v1
    #[arg(long, value_name = "URL")]
    upstream: Option<UpstreamUrl>,
    /// The name of the model for clients; with --upstream also its name on the upstream
    #[arg(long)]
    name: Option<String>,
    /// A file with the key of the upstream
    #[arg(long, value_name = "FILE", requires = "upstream")]
    upstream_key_file: Option<PathBuf>,
    /// The TLS certificate, followed by its issuers (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// The networks of the proxies that terminate TLS and set X-Forwarded-For; repeat it, or
    /// separate networks by commas
    #[arg(
        long,
        value_name = "CIDR",
        value_delimiter = ',',
        conflicts_with = "tls_certificate"
    )]
    behind_proxy: Vec<IpPrefix>,
    /// The directory of the audit records [default: audit in --dir]
    #[arg(long, value_name = "DIR")]
    audit: Option<PathBuf>,
    /// The id of the first key
    #[arg(long, default_value = "first")]
    key_id: KeyId,
    /// The number of days until the first key expires
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    days: u32,
    /// The user of the systemd unit
    #[arg(long, default_value = "stockade", value_parser = unit::user)]
    user: String,
    /// Do not ask: use the defaults of --dir, --listen and --audit
    #[arg(long)]
    yes: bool,
    /// Replace existing files, which are kept with the extension .old
    #[arg(long)]
    force: bool,
    /// Write the files also if `stockade check --strict` would report warnings
    #[arg(long)]
    allow_warnings: bool,
}

/// The scopes of the first key.
const SCOPES: &str = "chat:write models:read";

pub(crate) async fn run(args: InitArgs) -> Result<(), StartError> {
    let answers = Answers::of(&args)?;
    if let Transport::Tls { certificate, key } = &answers.transport {
        Identity::read(&TlsConfig::new(certificate, key))?;
    }
    let staging = Staging::create(&answers.dir, args.force)?;
    let key = write(&staging, &args, &answers).await?;
    let findings = check(&staging).await?;
    report(&findings, &staging)?;
    if !(findings.is_empty() || args.allow_warnings && !has_errors(&findings)) {
        return Err(StartError::new(
            "nothing was written, because `stockade check --strict` would fail: change the flags, \
             or accept warnings with --allow-warnings",
        ));
    }
    let dir = staging.place()?;
    print(&summary(&args, &answers, &dir, &key))
}

async fn write(
    staging: &Staging,
    args: &InitArgs,
    answers: &Answers,
) -> Result<GeneratedKey, StartError> {
    let scopes = SCOPES.parse().expect("literal scopes");
    let keys = staging.path(KEYS);
    let key = key::add(&keys, args.key_id.clone(), scopes, Some(args.days)).await?;
    staging.write_random(AUDIT_KEY)?;
    staging.write(folder::DENY_LIST, 0o600, "")?;
    staging.write(CONFIG, 0o640, &config::render(answers))?;
    let unit = unit::render(answers, &args.user)?;
    staging.write(unit::NAME, 0o644, &unit)?;
    Ok(key)
}

/// Checks the new files in the same way as `stockade check`.
async fn check(staging: &Staging) -> Result<Vec<Finding>, StartError> {
    let environment = Environment::from_process().legacy_names();
    let invalid = |error: stockade::ConfigError| {
        StartError::new(format!(
            "nothing was written: {}",
            staging.shown(&error.to_string())
        ))
    };
    let file = ServerFile::read(staging.path(CONFIG), &environment).map_err(invalid)?;
    file.check().await.map_err(invalid)
}

fn has_errors(findings: &[Finding]) -> bool {
    findings
        .iter()
        .any(|finding| finding.severity == stockade::Severity::Error)
}

fn report(findings: &[Finding], staging: &Staging) -> Result<(), StartError> {
    let mut err = io::stderr().lock();
    for finding in findings {
        writeln!(err, "{}", staging.shown(&finding.to_string()))
            .map_err(|error| StartError::new(format!("cannot write to standard error: {error}")))?;
    }
    Ok(())
}

/// The created files, the key, and what to do next.
fn summary(
    args: &InitArgs,
    answers: &Answers,
    dir: &std::path::Path,
    key: &GeneratedKey,
) -> String {
    let config = shell::quoted(&dir.join(CONFIG));
    let scheme = match answers.transport {
        Transport::Tls { .. } => "https",
        Transport::Proxies(_) | Transport::Local => "http",
    };
    let listen = answers.listen;
    format!(
        "Wrote {files} to {dir}.\n\
         The systemd unit describes its installation.\n\n\
         The key `{id}` expires in {days} days, and is not shown again:\n\n\
         {key}\n\n\
         Next:\n\n\
         stockade check --strict {config}\n\
         stockade-server serve --config {config}\n\
         curl -H \"Authorization: Bearer $KEY\" {scheme}://{listen}/v1/models",
        files = folder::NAMES.join(", "),
        dir = dir.display(),
        id = args.key_id,
        days = args.days,
        key = key.expose(),
    )
}
