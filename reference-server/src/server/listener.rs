//! Takes connections until the server ends.

use std::{io, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    sync::watch,
    task::JoinSet,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

use super::{
    Ended, Stop,
    connection::{self, ConnectionLimits},
    handshake,
    stop::told,
};
use crate::tls::Tls;

/// How long to wait where the system has no more descriptors or memory to give.
const BREATH: Duration = Duration::from_millis(100);

/// How long answers that are cut off may take to tell their clients so.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Serves until it is told to stop, then lets what runs end within the grace period. What
/// runs after that is cut off.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    router: Router,
    limits: ConnectionLimits,
    cut: CancellationToken,
    mut stop: watch::Receiver<Stop>,
) -> Ended {
    let mut connections = JoinSet::new();
    let open = metrics::gauge!("stockade_connections");
    loop {
        open.set(count(connections.len()));
        let free = connections.len() < limits.most;
        tokio::select! {
            biased;
            () = told(&mut stop, Stop::Gently) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if free => match accepted {
                Ok((stream, peer)) => {
                    // Tokens are small, and each of them should leave at once.
                    if let Err(error) = stream.set_nodelay(true) {
                        // Its client has left already.
                        tracing::debug!(%error, "a connection ended before it was served");
                        continue;
                    }
                    let (router, stop) = (router.clone(), stop.clone());
                    match &tls {
                        Some(tls) => connections.spawn(handshake::serve(
                            tls.acceptor(),
                            stream,
                            peer,
                            router,
                            limits,
                            stop,
                        )),
                        None => connections
                            .spawn(connection::serve(stream, peer, router, limits, stop)),
                    };
                }
                Err(error) if concerns_one_client(&error) => {
                    tracing::debug!(%error, "a connection ended before it was accepted");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again");
                    time::sleep(BREATH).await;
                }
            },
        }
    }
    // Closes the port: who comes now is refused by the system and can go elsewhere.
    drop(listener);
    drain(connections, limits.grace, &cut, stop).await
}

async fn drain(
    mut connections: JoinSet<()>,
    grace: Duration,
    cut: &CancellationToken,
    mut stop: watch::Receiver<Stop>,
) -> Ended {
    tracing::info!(
        connections = connections.len(),
        "stopping: no new work is taken"
    );
    let deadline = Instant::now() + grace;
    let mut at_once = false;
    while !connections.is_empty() {
        tokio::select! {
            biased;
            () = told(&mut stop, Stop::Now) => {
                at_once = true;
                break;
            }
            () = time::sleep_until(deadline) => break,
            _ = connections.join_next() => {}
        }
    }
    let cut_off = connections.len();
    cut.cancel();
    let all_gone = async { while connections.join_next().await.is_some() {} };
    if time::timeout(LAST_WORDS, all_gone).await.is_err() {
        connections.shutdown().await;
    }
    tracing::info!(cut = cut_off, "stopped");
    Ended {
        cut: cut_off,
        at_once,
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats")]
fn count(connections: usize) -> f64 {
    connections as f64
}

fn concerns_one_client(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
    )
}
