//! What flags and answers on the terminal decide.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use stockade_core::client::IpPrefix;
use stockade_server_config::{UpstreamUrl, listen_address};

use super::{InitArgs, prompt};
use crate::{StartError, cli::model_argument};

const DEFAULT_DIR: &str = "/etc/stockade";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

/// The decisions about a configuration. All paths are absolute.
pub(super) struct Answers {
    pub(super) dir: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) model: ModelAnswer,
    pub(super) transport: Transport,
    /// `None` for the default in `dir`.
    pub(super) audit: Option<PathBuf>,
}

/// What answers requests.
pub(super) enum ModelAnswer {
    /// A model in this process.
    Source {
        source: String,
        name: Option<String>,
    },
    /// Another server.
    Upstream {
        url: String,
        name: String,
        key_file: Option<PathBuf>,
    },
}

/// Who encrypts the connections of clients.
pub(super) enum Transport {
    /// The server.
    Tls { certificate: PathBuf, key: PathBuf },
    /// Proxies in these networks.
    Proxies(Vec<IpPrefix>),
    /// Only this machine can connect.
    Local,
}

impl Answers {
    /// The values of the flags. On a terminal, and without `--yes`, asks for what is missing.
    pub(super) fn of(args: &InitArgs) -> Result<Self, StartError> {
        let asks = !args.yes && prompt::is_possible();
        if !asks {
            require(args)?;
        }
        let dir = match &args.dir {
            Some(dir) => dir.clone(),
            None if asks => prompt::input("Directory", DEFAULT_DIR, |text| Ok(text.into()))?,
            None => DEFAULT_DIR.into(),
        };
        let model = model(args, asks)?;
        let listen = match args.listen {
            Some(listen) => listen,
            None if asks => {
                prompt::input("Address to listen on", "127.0.0.1:8000", listen_address)?
            }
            None => DEFAULT_LISTEN,
        };
        let transport = transport(args, listen, asks)?;
        let audit = args.audit.as_deref().map(absolute).transpose()?;
        Ok(Self {
            dir: absolute(&dir)?,
            listen,
            model,
            transport,
            audit,
        })
    }
}

/// Lists the flags that are missing where nothing can be asked.
fn require(args: &InitArgs) -> Result<(), StartError> {
    let mut missing = Vec::new();
    if args.dir.is_none() && !args.yes {
        missing.push("--dir");
    }
    if args.listen.is_none() && !args.yes {
        missing.push("--listen");
    }
    if args.model.is_none() && args.upstream.is_none() {
        missing.push("--model or --upstream");
    }
    if args.upstream.is_some() && args.name.is_none() {
        missing.push("--name");
    }
    let public = args.listen.is_some_and(|listen| !listen.ip().is_loopback());
    if public && args.tls_certificate.is_none() && args.behind_proxy.is_empty() {
        missing.push("--tls-certificate with --tls-key, or --behind-proxy");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let reason = match args.yes {
        true => "--yes asks nothing",
        false => "the command does not run on a terminal",
    };
    Err(StartError::new(format!(
        "missing flags, because {reason}: {}",
        missing.join("; ")
    )))
}

fn model(args: &InitArgs, asks: bool) -> Result<ModelAnswer, StartError> {
    let upstream = args.upstream.as_ref().map(ToString::to_string);
    let (source, url) = match (&args.model, upstream) {
        (None, None) if asks => {
            let question = "Model: a directory, a Hub repository (owner/name), or the URL of a \
                            server (http://…/v1)";
            let answer: String = prompt::required(question)?;
            match answer.parse::<UpstreamUrl>() {
                Ok(_) => (None, Some(answer)),
                Err(_) => (Some(answer), None),
            }
        }
        (model, upstream) => (model.clone(), upstream),
    };
    if let Some(url) = url {
        let name = match &args.name {
            Some(name) => name.clone(),
            None => prompt::required("Name of the model on that server")?,
        };
        let key_file = args
            .upstream_key_file
            .as_deref()
            .map(absolute)
            .transpose()?;
        return Ok(ModelAnswer::Upstream {
            url,
            name,
            key_file,
        });
    }
    Ok(ModelAnswer::Source {
        source: model_argument(&source.unwrap_or_default()),
        name: args.name.clone(),
    })
}

fn transport(args: &InitArgs, listen: SocketAddr, asks: bool) -> Result<Transport, StartError> {
    if let (Some(certificate), Some(key)) = (&args.tls_certificate, &args.tls_key) {
        return Ok(Transport::Tls {
            certificate: absolute(certificate)?,
            key: absolute(key)?,
        });
    }
    if !args.behind_proxy.is_empty() {
        return Ok(Transport::Proxies(args.behind_proxy.clone()));
    }
    if listen.ip().is_loopback() && !asks {
        return Ok(Transport::Local);
    }
    if prompt::confirm("Does this server terminate TLS itself")? {
        let certificate = prompt::required::<PathBuf>("Certificate (PEM)")?;
        let key = prompt::required::<PathBuf>("Private key (PEM)")?;
        return Ok(Transport::Tls {
            certificate: absolute(&certificate)?,
            key: absolute(&key)?,
        });
    }
    let question = match listen.ip().is_loopback() {
        true => "Networks of the proxies in front, separated by commas; empty for none",
        false => "Networks of the proxies in front that terminate TLS, separated by commas",
    };
    let networks = prompt::input(question, "", |text| {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let networks: Vec<IpPrefix> = parts
            .map(|part| {
                part.parse::<IpPrefix>()
                    .map_err(|error| format!("{part}: {error}"))
            })
            .collect::<Result<_, _>>()?;
        match networks.is_empty() && !listen.ip().is_loopback() {
            true => Err("without TLS, keys would be sent in plain text".to_owned()),
            false => Ok(networks),
        }
    })?;
    Ok(match networks.is_empty() {
        true => Transport::Local,
        false => Transport::Proxies(networks),
    })
}

fn absolute(path: &Path) -> Result<PathBuf, StartError> {
    std::path::absolute(path)
        .map_err(|error| StartError::new(format!("invalid path {}: {error}", path.display())))
}
