//! The options of accepted sockets.

use std::io;

use tokio::net::TcpStream;

/// The bytes of a response that may wait in the system until the client reads. By default, they
/// are up to 4 MiB for each connection, and Linux counts them as memory of no process.
#[cfg(target_os = "linux")]
const MAX_UNSENT: u32 = 128 << 10;

/// Sets the options of a socket before its first byte.
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(stream).set_tcp_notsent_lowat(MAX_UNSENT)?;
    // Streamed tokens are small and must be sent immediately.
    stream.set_nodelay(true)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::{net::Ipv4Addr, time::Duration};

    use tokio::{
        io::AsyncWriteExt,
        net::{TcpListener, TcpSocket},
        time::timeout,
    };

    use super::*;

    /// The bytes that the system takes for a client that does not read.
    async fn taken(is_prepared: bool) -> usize {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let client = TcpSocket::new_v4().unwrap();
        client.set_recv_buffer_size(4_096).unwrap();
        let client = client.connect(listener.local_addr().unwrap());
        let (_client, accepted) = tokio::join!(client, listener.accept());
        let (mut stream, _) = accepted.unwrap();
        if is_prepared {
            prepare(&stream).unwrap();
        }
        let (chunk, mut taken) = ([0; 4_096], 0);
        while let Ok(written) = timeout(Duration::from_millis(500), stream.write(&chunk)).await {
            taken += written.unwrap();
        }
        taken
    }

    // B03
    #[tokio::test]
    async fn a_client_that_does_not_read_holds_little_memory() {
        let (limited, unlimited) = (taken(true).await, taken(false).await);
        assert!(limited <= 256 << 10, "{limited}");
        assert!(unlimited > limited * 2, "{unlimited}, limited {limited}");
    }
}
