//! The servers, all on one thread: those without requests cost nothing.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use axum::Router;
use stockade_benches::{
    App, JsonLogs, Keys, Settings, WholeFence, as_written, typed_router, validated_router,
};
use tokio::{net::TcpListener, runtime, sync::oneshot};

use super::pin::pin;

/// Servers on loopback, until they are stopped.
#[derive(Debug)]
pub(crate) struct Servers {
    pub(crate) bare: SocketAddr,
    pub(crate) control: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) fenced: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<io::Result<u64>>,
}

impl Servers {
    /// Starts them on a thread that stays on this processor, together with the writers of
    /// records and log lines.
    pub(crate) fn start(processor: usize, keys: Arc<Keys>) -> io::Result<Self> {
        let (ready, addresses) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::spawn(move || {
            pin(processor)?;
            let fence = WholeFence::new(&keys, Settings::default());
            let app = App::new(keys.known(), 2);
            let logs = JsonLogs::of_process();
            logs.write(true);
            let apps = [
                typed_router(),
                typed_router(),
                as_written(app, validated_router()),
                typed_router().layer(fence.layer()),
            ];
            let served = serve(apps, ready, stopped);
            logs.write(false);
            served.map(|()| fence.lost_records() + logs.lost_lines())
        });
        match addresses.recv() {
            Ok([bare, control, peer, fenced]) => Ok(Self {
                bare,
                control,
                peer,
                fenced,
                stop,
                thread,
            }),
            // The thread ended before they were ready, so it has the cause.
            Err(_) => match join(thread) {
                Err(error) => Err(error),
                Ok(_) => unreachable!("servers that were stopped were ready"),
            },
        }
    }

    /// Stops them; the records and log lines that were dropped.
    pub(crate) fn stop(self) -> io::Result<u64> {
        // Without a receiver they have ended already.
        let _ = self.stop.send(());
        join(self.thread)
    }
}

fn join(thread: JoinHandle<io::Result<u64>>) -> io::Result<u64> {
    thread.join().expect("failures of the servers are errors")
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
        // Without a receiver there is no client, so they end.
        if ready.send(addresses).is_ok() {
            let _ = stopped.await;
        }
        Ok(())
    })
}
