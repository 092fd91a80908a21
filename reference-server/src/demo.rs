//! `stockade-server demo`: generates a model, a key and a configuration, and serves them.

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use clap::Args;
use stockade::Environment;
use stockade_key_auth::GeneratedKey;
use stockade_server_config::listen_address;
use tempfile::TempDir;

mod console;
mod model;
mod question;
mod sample_image;

use crate::{
    Config, StartError,
    cli::{key, model_argument},
    logging,
    serve::{self, LogReporter},
    systemd::Sockets,
    tiny_model,
};
use console::ConsoleReporter;

/// The name of the demo's model, for clients.
const NAME: &str = "demo";
/// The name of the same model over an upstream, which is this server itself.
const UPSTREAM_NAME: &str = "demo-upstream";
/// The name of the embedding model, which is served with the tiny model.
const EMBEDDING_NAME: &str = "demo-embedding";

/// Generate a tiny model, a key and a configuration in a temporary directory, and serve them
///
/// The tiny model was trained for the demo, on small drawn pictures of user interfaces and shapes:
/// it answers questions about their colours, shapes, labels and counts, and clicks. It is served
/// twice: in this process, and over an upstream, which is this server itself. A tiny embedding
/// model with random weights is served, too. Use --model to serve a real model instead, for
/// example Hcompany/Holo1.5-7B.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep the files in this directory; by default they are removed on exit
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Serve this model directory or Hugging Face Hub repository (owner/name)
    #[arg(long, value_name = "DIR_OR_HUB_ID")]
    model: Option<String>,
    /// The address to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8000", value_parser = listen_address)]
    listen: SocketAddr,
    /// The address of the administration; by default the next port of --listen
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = listen_address)]
    admin_listen: Option<SocketAddr>,
    /// Serve a tiny model with random weights of this seed, which answers gibberish at full length
    #[arg(long, conflicts_with = "model")]
    seed: Option<u64>,
}

pub(crate) async fn run(args: DemoArgs) -> Result<(), StartError> {
    // The directory is removed on return, so a signal must stop the server, not the process.
    let folder = DemoDir::make(args.dir)?;
    let listen = with_port(args.listen)?;
    let admin = match args.admin_listen {
        Some(address) => with_port(address)?,
        None => admin_address(args.listen)?,
    };
    let model = DemoModel::new(args.model, args.seed);
    let key = write_files(folder.path(), &model, listen, admin).await?;
    let config = Config::read(&folder.path().join(CONFIG), &Environment::from_process())?;
    logging::init(&config.log);
    let reporter = ConsoleReporter {
        folder: folder.path().to_owned(),
        kept: folder.is_kept(),
        model,
        key,
        admin: None,
        bar: None,
        log: LogReporter::default(),
        has_failed: false,
    };
    serve::serve(config, None, Sockets::default(), reporter).await
}

/// The model that the demo serves.
enum DemoModel {
    /// The one that was trained for the demo.
    Trained,
    /// A tiny one with random weights of this seed.
    Random(u64),
    /// A directory or repository that the user chose.
    Chosen(String),
}

impl DemoModel {
    fn new(model: Option<String>, seed: Option<u64>) -> Self {
        match (model, seed) {
            (Some(model), _) => Self::Chosen(model),
            (None, Some(seed)) => Self::Random(seed),
            (None, None) => Self::Trained,
        }
    }
}

/// The seed of the embedding model, which is served with the trained model.
const EMBEDDING_SEED: u64 = 1;

const CONFIG: &str = "stockade.toml";
const KEYS: &str = "keys.yaml";
const UPSTREAM_KEY: &str = "upstream.key";
const MODEL: &str = "model";
const EMBEDDING_MODEL: &str = "embedding-model";

/// The directory of the demo's files.
enum DemoDir {
    Scratch(TempDir),
    Kept(PathBuf),
}

impl DemoDir {
    fn make(dir: Option<PathBuf>) -> Result<Self, StartError> {
        let Some(dir) = dir else {
            return tempfile::Builder::new()
                .prefix("stockade-demo-")
                .tempdir()
                .map(Self::Scratch)
                .map_err(|error| cannot_write(&std::env::temp_dir(), &error));
        };
        fs::create_dir_all(&dir).map_err(|error| cannot_write(&dir, &error))?;
        // A key file that is in use must not be overwritten.
        for name in [CONFIG, KEYS, UPSTREAM_KEY] {
            if dir.join(name).exists() {
                let config = dir.join(CONFIG);
                return Err(StartError::new(format!(
                    "{} already has a {name}: choose an empty directory, or serve it with \
                     `stockade-server serve --config {}`",
                    dir.display(),
                    config.display()
                )));
            }
        }
        dir.canonicalize()
            .map(Self::Kept)
            .map_err(|error| cannot_write(&dir, &error))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Scratch(dir) => dir.path(),
            Self::Kept(dir) => dir,
        }
    }

    fn is_kept(&self) -> bool {
        matches!(self, Self::Kept(_))
    }
}

async fn write_files(
    folder: &Path,
    model: &DemoModel,
    listen: SocketAddr,
    admin: SocketAddr,
) -> Result<GeneratedKey, StartError> {
    let path = folder.join(MODEL);
    let (source, seed) = match model {
        DemoModel::Chosen(model) => (model_argument(model), None),
        DemoModel::Random(seed) => {
            tiny_model::write(&path, *seed).map_err(|error| cannot_create(&error))?;
            (format!("./{MODEL}"), Some(*seed))
        }
        DemoModel::Trained => {
            model::write(&path).map_err(|error| cannot_write(&path, &error))?;
            (format!("./{MODEL}"), Some(EMBEDDING_SEED))
        }
    };
    let embedding = match seed {
        None => String::new(),
        Some(seed) => {
            tiny_model::write_embedding(&folder.join(EMBEDDING_MODEL), seed)
                .map_err(|error| cannot_create(&error))?;
            format!("[[models]]\nname = \"{EMBEDDING_NAME}\"\nsource = \"./{EMBEDDING_MODEL}\"\n\n")
        }
    };
    let id = NAME.parse().expect("a literal id");
    let scopes = "chat:write models:read".parse().expect("literal scopes");
    let keys = folder.join(KEYS);
    let key = key::add(&keys, id, scopes, None).await?;
    write_upstream_key(folder, &keys).await?;

    let source = toml::Value::from(source);
    let upstream = upstream_url(listen);
    let config = format!(
        "# Created by `stockade-server demo`. Serve it again with\n\
         # `stockade-server serve --config stockade.toml`.\n\
         [server]\nlisten = \"{listen}\"\n\n\
         [[models]]\nname = \"{NAME}\"\nsource = {source}\n\n\
         # The same model over HTTP: in place of this server's own URL, set that of vLLM,\n\
         # llama.cpp, Ollama or any other server with an OpenAI-compatible API.\n\
         [[models]]\nname = \"{UPSTREAM_NAME}\"\n\
         upstream = [{{ url = \"{upstream}\", api_key_file = \"{UPSTREAM_KEY}\", model = \
         \"{NAME}\" }}]\n\n\
         {embedding}\
         [auth]\nkeys_file = \"{KEYS}\"\n\n\
         # The web page for keys, bans, usage and records.\n\
         [admin]\nlisten = \"{admin}\"\n\n\
         # The API is described at /docs/.\n[docs]\nallowed = true\n\n\
         [log]\nformat = \"text\"\n"
    );
    let path = folder.join(CONFIG);
    fs::write(&path, config).map_err(|error| cannot_write(&path, &error))?;
    Ok(key)
}

/// Creates the key that this server sends to itself.
async fn write_upstream_key(folder: &Path, keys: &Path) -> Result<(), StartError> {
    let id = "upstream".parse().expect("a literal id");
    let scopes = "chat:write models:read".parse().expect("literal scopes");
    let key = key::add(keys, id, scopes, None).await?;
    let path = folder.join(UPSTREAM_KEY);
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(&path);
    let written = written.and_then(|mut file| writeln!(file, "{}", key.expose()));
    written.map_err(|error| cannot_write(&path, &error))
}

/// The base URL of this server, for itself.
fn upstream_url(listen: SocketAddr) -> String {
    let mut address = listen;
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{address}/v1")
}

/// The address with a free port in place of port 0, because the configuration has the URL of this
/// server.
fn with_port(listen: SocketAddr) -> Result<SocketAddr, StartError> {
    if listen.port() != 0 {
        return Ok(listen);
    }
    TcpListener::bind(listen)
        .and_then(|listener| listener.local_addr())
        .map_err(|error| StartError::new(format!("cannot listen on {listen}: {error}")))
}

/// The address of the administration: the next port if it is free, else another one. The
/// administration is for this machine only, wherever the API is served.
fn admin_address(asked: SocketAddr) -> Result<SocketAddr, StartError> {
    let next = asked.port().checked_add(1).filter(|_| asked.port() != 0);
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match next.map(local) {
        Some(next) if TcpListener::bind(next).is_ok() => Ok(next),
        _ => with_port(local(0)),
    }
}

fn cannot_create(error: &tiny_model::TinyModelError) -> StartError {
    StartError::context("cannot create the tiny models", error)
}

fn cannot_write(path: &Path, error: &io::Error) -> StartError {
    StartError::new(format!(
        "cannot write to {}: {error}; choose another directory with --dir",
        path.display()
    ))
}
