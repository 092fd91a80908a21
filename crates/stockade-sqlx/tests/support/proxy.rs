//! A proxy to PostgreSQL that can drop a response.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::server::variable;

/// Forwards all traffic; can drop the response to a commit.
pub(crate) struct Proxy {
    port: u16,
    armed: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
}

impl Proxy {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (armed, lost) = (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (arm, lose) = (Arc::clone(&armed), Arc::clone(&lost));
        thread::spawn(move || {
            for client in listener.incoming() {
                pass(client.unwrap(), &arm, &lose);
            }
        });
        Self { port, armed, lost }
    }

    /// The URL of a database through the proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        let (address, _) = url.split_once('?').unwrap();
        let proxy = format!("127.0.0.1:{}", self.port);
        format!("{}?sslmode=disable", address.replace("localhost", &proxy))
    }

    /// Cuts the connection after the next commit, before its response.
    pub(crate) fn drop_next_response(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_dropped(&self) -> bool {
        self.lost.load(Ordering::SeqCst)
    }
}

fn pass(mut client: TcpStream, armed: &Arc<AtomicBool>, lost: &Arc<AtomicBool>) {
    let folder = variable("STOCKADE_TEST_POSTGRES_FOLDER");
    let mut server = UnixStream::connect(format!("{folder}/.s.PGSQL.5432")).unwrap();
    let (mut to_client, mut from_server) =
        (client.try_clone().unwrap(), server.try_clone().unwrap());
    let (armed, lost) = (Arc::clone(armed), Arc::clone(lost));
    let cut = Arc::new(AtomicBool::new(false));
    let cuts = Arc::clone(&cut);
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(length @ 1..) = client.read(&mut bytes) {
            let commits = bytes[..length].windows(6).any(|word| word == b"COMMIT");
            if commits && armed.swap(false, Ordering::SeqCst) {
                cuts.store(true, Ordering::SeqCst);
            }
            if server.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let mut bytes = [0; 1 << 16];
        while let Ok(length @ 1..) = from_server.read(&mut bytes) {
            if cut.load(Ordering::SeqCst) {
                lost.store(true, Ordering::SeqCst);
                break;
            }
            if to_client.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = to_client.shutdown(Shutdown::Both);
    });
}
