//! The protocols between systemd and a service: sockets, readiness, status and watchdog. Without
//! systemd, nothing is sent.

use std::{
    io,
    net::{SocketAddr, TcpListener as StdListener},
};

use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::{net::TcpListener, time};

use crate::StartError;

/// The sockets that systemd listens on for this process, which keep connections while it restarts.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<(SocketAddr, StdListener)>);

impl Sockets {
    /// Takes the sockets that `LISTEN_FDS` announces. Called before any thread is started, because
    /// it removes that variable.
    ///
    /// # Errors
    /// Returns an error if one of them is not a TCP listener.
    pub(crate) fn take() -> Result<Self, StartError> {
        let mut passed = ListenFd::from_env();
        let sockets = (0..passed.len())
            .filter_map(|at| passed.take_tcp_listener(at).transpose())
            .map(|socket| {
                let socket = socket?;
                socket.set_nonblocking(true)?;
                Ok((socket.local_addr()?, socket))
            })
            .collect::<io::Result<_>>();
        sockets.map(Self).map_err(|error| {
            StartError::new(format!(
                "cannot use the sockets of systemd: {error}; use ListenStream=ADDRESS:PORT in the \
                 socket unit"
            ))
        })
    }

    /// Returns the socket with the address that `option` sets, or binds it; with the assigned port
    /// if the port is 0.
    ///
    /// # Errors
    /// Returns an error that names the option.
    pub(crate) async fn bind(
        &mut self,
        address: SocketAddr,
        option: &str,
    ) -> Result<(TcpListener, SocketAddr), StartError> {
        let listener = self.listen(address).await;
        let bound = listener.and_then(|listener| {
            let address = listener.local_addr()?;
            Ok((listener, address))
        });
        bound.map_err(|error| bind_error(address, &error, option))
    }

    /// Returns the socket with this address, or binds it.
    async fn listen(&mut self, address: SocketAddr) -> io::Result<TcpListener> {
        let passed = self.0.iter().position(|(passed, _)| *passed == address);
        match passed {
            Some(at) => {
                tracing::info!(%address, "listening on a socket of systemd");
                TcpListener::from_std(self.0.swap_remove(at).1)
            }
            None => TcpListener::bind(address).await,
        }
    }

    /// Checks that no socket is left, whose clients would wait for ever.
    ///
    /// # Errors
    /// Returns an error that names the address of one that is.
    pub(crate) fn finish(self) -> Result<(), StartError> {
        match self.0.first() {
            None => Ok(()),
            Some((address, _)) => Err(StartError::new(format!(
                "systemd listens on {address}, which is none of server.listen, admin.listen and \
                 metrics.listen: change ListenStream of the socket unit, or the setting"
            ))),
        }
    }
}

/// The error of an address that `option` sets.
fn bind_error(address: SocketAddr, error: &io::Error, option: &str) -> StartError {
    StartError::new(match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "{address} is in use: stop the program that listens on it, or choose another \
             address with {option}"
        ),
        io::ErrorKind::PermissionDenied => {
            format!(
                "permission denied to listen on {address}: choose a port above 1023 with {option}"
            )
        }
        _ => format!("cannot listen on {address}: {error}; choose another address with {option}"),
    })
}

/// Says that connections are accepted.
pub(crate) fn ready() {
    notify(&NotifyState::Ready);
}

/// Says that the shutdown has begun.
pub(crate) fn stopping() {
    notify(&NotifyState::Stopping);
}

/// Shows a line of text in `systemctl status`.
pub(crate) fn status(text: &str) {
    // A line break would begin another message.
    notify(&NotifyState::Status(&text.replace(char::is_control, " ")));
}

/// Tells the watchdog twice per interval that tasks run, if the unit has `WatchdogSec`.
pub(crate) async fn feed_watchdog() {
    let Some(interval) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut ticks = time::interval(interval / 2);
    loop {
        ticks.tick().await;
        notify(&NotifyState::Watchdog);
    }
}

fn notify(state: &NotifyState<'_>) {
    // Does nothing without `NOTIFY_SOCKET`.
    if let Err(error) = sd_notify::notify(std::slice::from_ref(state)) {
        tracing::warn!(%error, "cannot tell systemd the state of the service");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> (SocketAddr, StdListener) {
        let socket = StdListener::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        (socket.local_addr().unwrap(), socket)
    }

    #[tokio::test]
    async fn listens_on_the_socket_with_the_address() {
        let (first, second) = (socket(), socket());
        let address = second.0;
        let mut sockets = Sockets(vec![first, second]);
        // A bind would fail: the address is in use.
        let listener = sockets.listen(address).await.unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let free = sockets.listen("127.0.0.1:0".parse().unwrap()).await;
        assert_ne!(free.unwrap().local_addr().unwrap().port(), 0);
    }

    #[tokio::test]
    async fn refuses_to_leave_a_socket_unused() {
        let (address, listener) = socket();
        let error = Sockets(vec![(address, listener)]).finish().unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
        assert!(Sockets::default().finish().is_ok());
    }
}
