//! A stream over HTTP/1.1.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::site::Site;

#[tokio::test]
async fn the_connection_ends_the_response_properly() {
    let site = Site::new("").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = site.router.clone();
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await });

    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /stream HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-type: text/event-stream\r\n\
         authorization: {}\r\n\r\n",
        site.bearer("a")
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    client.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    site.write_keys(&["b"]);
    let mut rest = String::new();
    client.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("data: {\"error\":{"), "{rest}");
    // The last chunk.
    assert!(rest.ends_with("\r\n0\r\n\r\n"), "{rest:?}");
}
