//! A server that is not Redis.

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
};

/// Accepts connections at a port, and sends the same reply to everything; none if it is empty.
pub struct Impostor(JoinSet<()>);

impl Impostor {
    pub async fn at(port: u16, reply: &'static str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                connections.spawn(async move {
                    let mut received = [0; 4_096];
                    while let Ok(1..) = client.read(&mut received).await {
                        if client.write_all(reply.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self(tasks)
    }

    /// Closes the port and all connections.
    pub async fn leave(mut self) {
        self.0.shutdown().await;
    }
}
