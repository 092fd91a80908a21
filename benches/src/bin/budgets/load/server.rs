//! The servers, all on one thread: who is not asked costs nothing.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use axum::Router;
use stockade_benches::{Keys, Settings, WholeFence, bearer_governor_router, router};
use tokio::{net::TcpListener, runtime, sync::oneshot};

use super::pin::pin;

/// Servers on loopback, until they are stopped.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) bare: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) peers: SocketAddr,
    pub(crate) fenced: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<u64>>,
}

impl Servers {
    /// Starts them on a thread that stays on this processor, and so does the writer of the
    /// fence's records.
    pub(crate) fn start(processor: usize, keys: Arc<Keys>) -> io::Result<Self> {
        let (ready, addresses) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            pin(processor)?;
            let fence = WholeFence::new(&keys, Settings::default());
            let apps = [
                router(),
                router(),
                bearer_governor_router(keys.known()),
                router().layer(fence.layer()),
            ];
            serve(apps, ready, stopped)?;
            Ok(fence.lost_records())
        });
        match addresses.recv() {
            Ok([bare, control, peers, fenced]) => Ok(Self {
                bare,
                control,
                peers,
                fenced,
                stop,
                thread,
            }),
            // The thread ended before they were ready, so it says why.
            Err(_) => match join(thread) {
                Err(error) => Err(error),
                Ok(_) => unreachable!("whoever is stopped was ready"),
            },
        }
    }

    /// Ends them; how many records the fence has lost.
    pub(crate) fn stop(self) -> io::Result<u64> {
        // Where nobody waits for it, they have ended already.
        let _ = self.stop.send(());
        join(self.thread)
    }
}

fn join(thread: JoinHandle<io::Result<u64>>) -> io::Result<u64> {
    thread.join().expect("what fails there is an error")
}

fn serve(
    apps: [Router; 4],
    ready: mpsc::Sender<[SocketAddr; 4]>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut addresses = [SocketAddr::from((Ipv4Addr::LOCALHOST, 0)); 4];
        for (app, address) in apps.into_iter().zip(&mut addresses) {
            let listener = TcpListener::bind(*address).await?;
            *address = listener.local_addr()?;
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            tokio::spawn(axum::serve(listener, app).into_future());
        }
        // Where nobody is left to hear of it or to stop them, they end.
        if ready.send(addresses).is_ok() {
            let _ = stopped.await;
        }
        Ok(())
    })
}
