//! Opens and replaces the connection.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, ErrorKind, RedisError,
    ServerErrorKind, Value,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{Link, Live, redirect};
use crate::{Namespace, RedisConfig, RedisConfigError, error::CallError};

/// The first pause between attempts; it doubles with each one.
const MIN_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_secs(2);
/// The highest number of redirects in one attempt: while a cluster changes, they can form a
/// loop.
const MAX_REDIRECTS: usize = 3;

/// The task that keeps a connection open.
///
/// The library's own manager gives up after a number of attempts, does not retry after a
/// refused password, and keeps a connection to a server that has become a replica.
pub(super) struct Reconnector {
    server: ConnectionInfo,
    config: AsyncConnectionConfig,
    namespace: Namespace,
    link: Arc<Link>,
}

impl Reconnector {
    pub(super) fn new(config: RedisConfig) -> Result<(Self, Arc<Link>), RedisConfigError> {
        let timeouts = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(Some(config.response_timeout));
        let namespace = config.namespace.clone();
        let server = config.into_server()?;
        if matches!(server.addr(), ConnectionAddr::TcpTls { .. }) {
            // Only the first call has an effect; a provider chosen by the application is fine.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        let link = Arc::new(Link {
            live: watch::Sender::new(None),
            moved: Mutex::new(None),
        });
        let reconnector = Self {
            server,
            config: timeouts,
            namespace,
            link: Arc::clone(&link),
        };
        Ok((reconnector, link))
    }

    pub(super) async fn run(self) {
        let jitter = RandomState::new();
        let mut live = self.link.live.subscribe();
        let mut pause = MIN_PAUSE;
        let mut was_refused = false;
        for number in 0_u64.. {
            match self.open(number).await {
                Ok(next) => {
                    tracing::info!("connected to Redis");
                    was_refused = false;
                    let since = Instant::now();
                    self.link.live.send_replace(Some(next));
                    // Fails only if the sender is dropped, which is kept here.
                    let _ = live.wait_for(Option::is_none).await;
                    // A connection that breaks immediately counts as a failed attempt.
                    if since.elapsed() > MAX_PAUSE {
                        pause = MIN_PAUSE;
                    }
                }
                Err(error) => {
                    if !was_refused {
                        tracing::warn!(%error, "cannot connect to Redis; retrying");
                    }
                    was_refused = true;
                }
            }
            // Jitter, so that replicas do not reconnect all at once.
            let percent = 75 + (jitter.hash_one(number) % 51) as u32;
            sleep(pause * percent / 100).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Connects to the server of the namespace's slot: otherwise, the first calls would fail in
    /// a cluster.
    async fn open(&self, number: u64) -> Result<Live, RedisError> {
        let mut moved = self
            .link
            .moved
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut redirects = 0..MAX_REDIRECTS;
        loop {
            let server = match moved {
                Some(to) => self
                    .server
                    .clone()
                    .set_addr(with_host(self.server.addr(), to)),
                None => self.server.clone(),
            };
            let mut connection = Client::open(server)?
                .get_multiplexed_async_connection_with_config(&self.config)
                .await?;
            let mut probe = redis::cmd("GET");
            probe.arg(self.namespace.key("slot"));
            match probe.query_async::<Value>(&mut connection).await {
                Err(error) if is_moved(&error) && redirects.next().is_some() => {
                    moved = redirect(&error);
                }
                Err(error) if CallError::ends_connection(&error) => return Err(error),
                // Calls report other errors.
                _ => return Ok(Live { connection, number }),
            }
        }
    }
}

fn is_moved(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::Moved)
}

/// The same address with another host and port.
fn with_host(address: &ConnectionAddr, (host, port): (String, u16)) -> ConnectionAddr {
    match address.clone() {
        ConnectionAddr::TcpTls {
            insecure,
            tls_params,
            ..
        } => ConnectionAddr::TcpTls {
            host,
            port,
            insecure,
            tls_params,
        },
        _ => ConnectionAddr::Tcp(host, port),
    }
}
