//! The shared connection.

mod reconnector;

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use redis::{FromRedisValue, RedisError, ScriptInvocation, aio::MultiplexedConnection};
use tokio::{sync::watch, task::AbortHandle};

use crate::{Namespace, RedisConfig, RedisConfigError, error::CallError};

/// A connection to Redis or Valkey that all stores share. Clones share it, too.
///
/// It is opened in the background, and replaced when it breaks, when the server does not reply
/// in time, or when the server becomes a replica: after 50 milliseconds at first, and at most
/// every two seconds. Calls never wait for it: meanwhile, the stores are unavailable, and the
/// failure policy decides.
///
/// In a cluster, it connects to the server that holds the namespace's slot, and follows the
/// slot.
///
/// ```
/// use stockade_redis::{Redis, RedisConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Connects in the background, also if Redis is down.
/// let redis = Redis::connect(RedisConfig::new("redis://127.0.0.1:1")?)?;
/// assert!(!redis.is_connected());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Redis {
    link: Arc<Link>,
    namespace: Namespace,
    _reconnector: Arc<AbortOnDrop>,
}

impl Redis {
    /// Starts to connect and returns immediately, whether or not the server is reachable.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn connect(config: RedisConfig) -> Result<Self, RedisConfigError> {
        let namespace = config.namespace.clone();
        let (reconnector, link) = reconnector::Reconnector::new(config)?;
        let task = tokio::spawn(reconnector.run());
        Ok(Self {
            link,
            namespace,
            _reconnector: Arc::new(AbortOnDrop(task.abort_handle())),
        })
    }

    /// Whether there is a connection, for readiness.
    pub fn is_connected(&self) -> bool {
        self.link.live.borrow().is_some()
    }

    /// Waits for a connection. Add a timeout.
    pub async fn connected(&self) {
        // Fails only if the sender is dropped, which is kept here.
        let _ = self.link.live.subscribe().wait_for(Option::is_some).await;
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    pub(crate) fn namespace(&self) -> &Namespace {
        &self.namespace
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("namespace", &self.namespace)
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

/// Aborts a task on drop.
pub(crate) struct AbortOnDrop(pub(crate) AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The current connection, if there is one.
pub(crate) struct Link {
    live: watch::Sender<Option<Live>>,
    /// The server that holds the slot, as reported by a cluster.
    moved: Mutex<Option<(String, u16)>>,
}

#[derive(Clone)]
struct Live {
    connection: MultiplexedConnection,
    /// Identifies the connection, so that a late failure of an old one does not end its
    /// successor.
    number: u64,
}

impl Link {
    /// Runs a script, and loads it first if the server does not know it.
    pub(crate) async fn run<T>(&self, call: &ScriptInvocation<'_>) -> Result<T, CallError>
    where
        T: FromRedisValue,
    {
        let Some(Live {
            mut connection,
            number,
        }) = self.live.borrow().clone()
        else {
            return Err(CallError::NotConnected);
        };
        let answer = call.invoke_async(&mut connection).await;
        answer.map_err(|error| {
            self.failed(number, &error);
            CallError::Redis(error)
        })
    }

    fn failed(&self, number: u64, error: &RedisError) {
        if !CallError::ends_connection(error) {
            return;
        }
        let ended = self.live.send_if_modified(|live| {
            let is_this = live.as_ref().is_some_and(|it| it.number == number);
            if is_this {
                *live = None;
            }
            is_this
        });
        if ended {
            tracing::warn!(%error, "closed the connection to Redis after an error");
            *self.moved.lock().unwrap_or_else(PoisonError::into_inner) = redirect(error);
        }
    }
}

/// The server that a cluster redirects to.
fn redirect(error: &RedisError) -> Option<(String, u16)> {
    let (to, _slot) = error.redirect_node()?;
    host_and_port(to)
}

/// Parses `192.0.2.1:6379`, `2001:db8::1:6379`.
fn host_and_port(address: &str) -> Option<(String, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    Some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_redirects() {
        let read = |text| host_and_port(text).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(read("192.0.2.1:6379").unwrap(), "192.0.2.1 6379");
        assert_eq!(read("2001:db8::1:6379").unwrap(), "2001:db8::1 6379");
        assert_eq!(read("nowhere"), None);
    }
}
