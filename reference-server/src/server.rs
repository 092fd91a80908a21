//! A listener with the fence and the API behind it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use stockade_core::{Authenticator, ForwardingHeader, TrustedProxies};
use stockade_key_auth::KeyAuth;
use tokio::{net::TcpListener, sync::watch};

mod connection;
mod keys;
mod listener;
mod stop;
mod tokens;

pub use stop::{Ended, Stop};

pub(crate) use stop::on_signals;

use crate::{
    ClientIpConfig, Config, StartError,
    api::{self, ApiLimits, ChatLimits},
    backend::Backend,
    fence::{self, BodyLimit, Fence},
};
use connection::ConnectionLimits;
use keys::Keys;

/// A server that listens, and answers once it is given a backend.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    fence: Fence,
    api: ApiLimits,
    connections: ConnectionLimits,
    /// Follows changes of keys for as long as the server runs.
    keys: Keys,
}

impl Server {
    /// Reads the keys and opens the port.
    ///
    /// # Errors
    /// When that fails, or the configuration asks for what cannot be.
    pub async fn bind(config: &Config) -> Result<Self, StartError> {
        let keys = Keys::open(&config.auth).await?;
        let fence = fence(config, &keys)?;
        let address = config.server.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| cannot_listen(address, &error))?;
        let address = listener
            .local_addr()
            .map_err(|error| cannot_listen(address, &error))?;
        Ok(Self {
            listener,
            address,
            fence,
            api: api_limits(config)?,
            connections: ConnectionLimits {
                most: config.server.max_connections.get() as usize,
                header_timeout: seconds(config.server.header_timeout_secs.get()),
                grace: seconds(config.server.shutdown_grace_secs),
            },
            keys,
        })
    }

    /// The address it listens on; the port is a real one where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop.
    pub async fn run(self, backend: Arc<dyn Backend>, stop: watch::Receiver<Stop>) -> Ended {
        let router = self.fence.around(api::router(backend, self.api));
        let ended = listener::serve(self.listener, router, self.connections, stop).await;
        drop(self.keys);
        ended
    }
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> StartError {
    StartError::new(match error.kind() {
        std::io::ErrorKind::AddrInUse => format!(
            "{address} is in use: stop the program that listens there, or choose another \
             address with --listen"
        ),
        std::io::ErrorKind::PermissionDenied => {
            format!("not allowed to listen on {address}: choose a port over 1023 with --listen")
        }
        _ => format!("cannot listen on {address}: {error}; choose another with --listen"),
    })
}

fn fence(config: &Config, keys: &Keys) -> Result<Fence, StartError> {
    let realm = &config.auth.realm;
    let scopes =
        fence::scope_guard(realm).map_err(|error| StartError::of("the route table", &error))?;
    Ok(Fence {
        proxies: proxies(&config.client_ip)?,
        identity: KeyAuth::with_keys(keys.live())
            .realm(realm)
            .dangerous_allow_anonymous()
            .or(tokens::guard(config.auth.tokens.as_ref(), realm)?),
        scopes,
        request_timeout: seconds(config.server.request_timeout_secs.get()),
        body_limit: BodyLimit::mebibytes(config.server.max_body_mb.get().into()),
    })
}

fn proxies(config: &ClientIpConfig) -> Result<TrustedProxies, StartError> {
    let header = match config.header.as_deref() {
        None if config.trusted_proxies.is_empty() => return Ok(TrustedProxies::default()),
        None => {
            return Err(StartError::new(
                "client_ip.trusted_proxies is set, but not client_ip.header: say which header \
                 they use, such as \"x-forwarded-for\"",
            ));
        }
        Some(_) if config.trusted_proxies.is_empty() => {
            return Err(StartError::new(
                "client_ip.header is set, but not client_ip.trusted_proxies: say whose header \
                 is believed, such as [\"10.0.0.0/8\"]",
            ));
        }
        Some(name) if name.eq_ignore_ascii_case("x-forwarded-for") => {
            ForwardingHeader::XForwardedFor
        }
        Some(name) if name.eq_ignore_ascii_case("forwarded") => ForwardingHeader::Forwarded,
        Some(name) => ForwardingHeader::Single(name.parse().map_err(|_| {
            StartError::new(format!("client_ip.header: {name:?} is no header name"))
        })?),
    };
    let networks = config.trusted_proxies.iter().copied();
    Ok(TrustedProxies::new(header, networks))
}

fn api_limits(config: &Config) -> Result<ApiLimits, StartError> {
    let model = &config.model;
    let limit = model.max_tokens_limit.get();
    let default = model.default_max_tokens.get();
    if default > limit {
        return Err(StartError::new(
            "model.default_max_tokens is over model.max_tokens_limit: lower the one or raise \
             the other",
        ));
    }
    let tokens = |count| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(ApiLimits {
        chat: ChatLimits {
            default_max_tokens: tokens(default),
            max_tokens: tokens(limit),
        },
        body_timeout: seconds(config.server.body_timeout_secs.get()),
        max_image_side: model.max_image_side.get().into(),
    })
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
