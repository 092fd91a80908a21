//! The threads that serve connections, each with a runtime of its own.
//!
//! A connection stays on its thread, and so do the connections to upstreams that its requests use:
//! no part of a request wakes another thread. With one runtime for all threads, a small relayed
//! request takes half as much CPU again.

use std::{
    io,
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use tokio::{
    net::TcpStream,
    runtime::{Builder, Handle},
    task::JoinSet,
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// The threads; they end when this is dropped.
pub(super) struct Workers {
    workers: Vec<Worker>,
    _stop: DropGuard,
}

struct Worker {
    runtime: Handle,
    connections: Arc<AtomicUsize>,
}

impl Workers {
    /// Starts one thread for each core.
    ///
    /// # Errors
    /// Returns an error if the system refuses a thread.
    pub(super) fn start() -> io::Result<Self> {
        Self::with_threads(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN))
    }

    /// Starts this many threads.
    ///
    /// # Errors
    /// As for [`start`](Self::start).
    pub(super) fn with_threads(count: NonZeroUsize) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let workers = (0..count.get()).map(|number| Worker::start(number, stop.clone()));
        Ok(Self {
            workers: workers.collect::<io::Result<_>>()?,
            _stop: stop.drop_guard(),
        })
    }

    /// Serves a connection on the thread that has the fewest.
    pub(super) fn spawn<F>(
        &self,
        tasks: &mut JoinSet<()>,
        stream: TcpStream,
        serve: impl FnOnce(TcpStream) -> F + Send + 'static,
    ) -> io::Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let worker = self
            .workers
            .iter()
            .min_by_key(|worker| worker.connections.load(Ordering::Relaxed))
            .expect("there is at least one worker");
        let open = Open::new(&worker.connections);
        // The events of the socket go to the thread that serves it.
        let stream = stream.into_std()?;
        let connection = async move {
            let _open = open;
            match TcpStream::from_std(stream) {
                Ok(stream) => serve(stream).await,
                Err(error) => tracing::warn!(%error, "cannot serve a connection"),
            }
        };
        tasks.spawn_on(connection, &worker.runtime);
        Ok(())
    }
}

impl Worker {
    fn start(number: usize, stop: CancellationToken) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                runtime.block_on(stop.cancelled());
                // Blocking work, such as reading a file of keys, may still run.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            runtime: handle,
            connections: Arc::default(),
        })
    }
}

/// Counts a connection until it is dropped.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(connections: &Arc<AtomicUsize>) -> Self {
        connections.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(connections))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::{io::AsyncReadExt, net::TcpListener};

    use super::*;

    async fn connection(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        (client.unwrap(), accepted.unwrap().0)
    }

    #[tokio::test]
    async fn a_connection_goes_to_the_thread_with_the_fewest() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::with_threads(NonZeroUsize::new(2).unwrap()).unwrap();
        let served = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        let mut clients = Vec::new();
        for _ in 0..4 {
            let (client, accepted) = connection(&listener).await;
            clients.push(client);
            let served = Arc::clone(&served);
            let serve = |mut stream: TcpStream| async move {
                let thread = thread::current().name().unwrap().to_owned();
                served.lock().unwrap().push(thread);
                // Until the client leaves.
                assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
            };
            workers.spawn(&mut tasks, accepted, serve).unwrap();
        }
        let open = || {
            workers
                .workers
                .iter()
                .map(|w| w.connections.load(Ordering::Relaxed))
        };
        assert_eq!(open().collect::<Vec<_>>(), [2, 2]);
        drop(clients);
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        assert_eq!(open().sum::<usize>(), 0);
        let mut served = served.lock().unwrap().clone();
        served.sort_unstable();
        assert_eq!(served, ["worker-0", "worker-0", "worker-1", "worker-1"]);
    }

    #[tokio::test]
    async fn the_threads_end_with_the_server() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let workers = Workers::with_threads(NonZeroUsize::MIN).unwrap();
        let mut tasks = JoinSet::new();
        let (_client, accepted) = connection(&listener).await;
        let serve = |_stream| std::future::pending();
        workers.spawn(&mut tasks, accepted, serve).unwrap();
        drop(workers);
        // The runtime drops its tasks.
        let ended = tasks.join_next().await.unwrap();
        assert!(ended.unwrap_err().is_cancelled());
    }
}
