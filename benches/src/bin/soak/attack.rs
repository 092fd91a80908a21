//! What the attackers do. Each task repeats its attack until it is aborted.

use std::{
    collections::BTreeMap,
    fmt,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use clap::ValueEnum;
use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use serde::{Serialize, Serializer};
use tokio::{
    io::{self, AsyncReadExt, AsyncWriteExt},
    task::JoinSet,
    time,
};

use crate::{
    server::Server,
    wire::{self, CHAT},
};

/// Connections of [`Attack::Idle`].
const CONNECTIONS: u32 = 10_000;
/// Streams of [`Attack::Streams`].
const STREAMS: u32 = 1_000;
/// Events of a stream: more than are read, and no more than the server permits.
const EVENTS: u32 = 8_000;
/// After a failure, so that a closed port is no busy loop.
const PAUSE: Duration = Duration::from_millis(100);

/// An attack, by the rows of the threat model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Attack {
    /// 500 wrong keys a second, of many addresses
    Keys,
    /// Bodies that are larger than allowed, and 8 MiB that are not JSON
    Bodies,
    /// Pictures with few bytes and many pixels
    Pictures,
    /// JSON with 100,000 levels
    Nesting,
    /// 10,000 connections with half a head
    Idle,
    /// 1,000 streams of a key
    Streams,
    /// 200 streams that are not read
    Unread,
    /// Clients that leave in the middle of a stream
    Leaving,
    /// Streams of HTTP/2 that are reset at once
    Resets,
}

impl Attack {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Bodies => "bodies",
            Self::Pictures => "pictures",
            Self::Nesting => "nesting",
            Self::Idle => "idle",
            Self::Streams => "streams",
            Self::Unread => "unread",
            Self::Leaving => "leaving",
            Self::Resets => "resets",
        }
    }

    /// Starts the tasks of the attackers.
    pub(crate) fn start(self, server: &Server, tally: &Tally, tasks: &mut JoinSet<()>) {
        let address = server.address;
        let key = &server.bad_key;
        let mut requests = |count: u32, every: Duration, request: Vec<u8>| {
            let request: Arc<[u8]> = request.into();
            for number in 0..count {
                tasks.spawn(repeat_request(
                    address,
                    number,
                    every,
                    request.clone(),
                    tally.clone(),
                ));
            }
        };
        let millis = Duration::from_millis;
        match self {
            Self::Keys => requests(50, millis(100), wire::post("sk-wrong", CHAT.as_bytes())),
            Self::Bodies => {
                requests(4, millis(500), wire::head(key, 1 << 30));
                requests(2, millis(500), wire::post(key, &vec![b'x'; 8 << 20]));
            }
            Self::Pictures => requests(4, millis(250), wire::post(key, picture().as_bytes())),
            Self::Nesting => {
                let body = format!("{{\"messages\":{}", "[".repeat(100_000));
                requests(10, millis(100), wire::post(key, body.as_bytes()));
            }
            Self::Idle => {
                for number in 0..CONNECTIONS {
                    tasks.spawn(hold_connection(address, number, tally.clone()));
                }
            }
            Self::Streams => {
                let request: Arc<[u8]> =
                    wire::post(key, wire::stream(EVENTS, 1_000).as_bytes()).into();
                for number in 0..STREAMS {
                    tasks.spawn(stream(
                        address,
                        number,
                        request.clone(),
                        End::Never,
                        tally.clone(),
                    ));
                }
            }
            Self::Unread => {
                let request: Arc<[u8]> = wire::post(key, wire::stream(EVENTS, 0).as_bytes()).into();
                for number in 0..200 {
                    tasks.spawn(stream(
                        address,
                        number,
                        request.clone(),
                        End::Unread,
                        tally.clone(),
                    ));
                }
            }
            Self::Leaving => {
                let request: Arc<[u8]> = wire::post(key, wire::stream(1_000, 50).as_bytes()).into();
                for number in 0..20 {
                    tasks.spawn(stream(
                        address,
                        number,
                        request.clone(),
                        End::Leaves,
                        tally.clone(),
                    ));
                }
            }
            Self::Resets => {
                for number in 0..4 {
                    tasks.spawn(reset_streams(address, number, tally.clone()));
                }
            }
        }
    }
}

/// A PNG with 100 million black pixels, in a chat.
fn picture() -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    const SIDE: u32 = 10_000;
    let mut png = Vec::new();
    let pixels = vec![0; (SIDE * SIDE) as usize];
    PngEncoder::new(&mut png)
        .write_image(&pixels, SIDE, SIDE, ExtendedColorType::L8)
        .expect("a picture in memory can be encoded");
    let url = format!("data:image/png;base64,{}", STANDARD.encode(png));
    format!(
        r#"{{"model":"bench","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
    )
}

/// Sends a request on a new connection, repeatedly.
async fn repeat_request(
    server: SocketAddr,
    number: u32,
    every: Duration,
    request: Arc<[u8]>,
    tally: Tally,
) {
    let mut ticks = time::interval(every);
    for turn in 0_u32.. {
        ticks.tick().await;
        let answer = async {
            let address = number.wrapping_mul(251).wrapping_add(turn);
            let mut connection = wire::connect(server, address).await?;
            let (mut read, mut write) = connection.split();
            // The server may answer while the body is still sent.
            let status = async {
                let mut start = [0; 13];
                read.read_exact(&mut start).await?;
                Ok::<_, io::Error>(start)
            };
            let send = async {
                write.write_all(&request).await?;
                std::future::pending::<io::Result<()>>().await
            };
            tokio::select! {
                start = status => wire::parse_status(&start?),
                // The server may close the connection while the body is sent.
                Err(error) = send => Err(error),
            }
        };
        tally.add(answer.await.ok());
    }
}

/// Sends half a head, and opens a new connection when the server closes this one.
async fn hold_connection(server: SocketAddr, number: u32, tally: Tally) {
    // All of them within a second.
    time::sleep(Duration::from_micros(500) * (number % 2_000)).await;
    loop {
        let held = async {
            let mut connection = wire::connect(server, number).await?;
            connection
                .write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: ")
                .await?;
            wire::status(&mut connection).await
        };
        tally.add(held.await.ok());
        time::sleep(PAUSE).await;
    }
}

/// What a client does with its stream.
#[derive(Clone, Copy)]
enum End {
    Never,
    Unread,
    Leaves,
}

async fn stream(server: SocketAddr, number: u32, request: Arc<[u8]>, end: End, tally: Tally) {
    loop {
        let opened = async {
            let mut connection = wire::connect(server, number).await?;
            let status = wire::exchange(&mut connection, &request).await?;
            Ok((status, connection))
        };
        let opened: io::Result<_> = opened.await;
        tally.add(opened.as_ref().ok().map(|(status, _)| *status));
        if let Ok((_, mut connection)) = opened {
            match end {
                End::Never => {
                    let mut buffer = [0; 4_096];
                    while connection
                        .read(&mut buffer)
                        .await
                        .is_ok_and(|read| read > 0)
                    {}
                }
                // Until the server ends it, which shows in the next attempt.
                End::Unread => time::sleep(Duration::from_secs(3_600)).await,
                End::Leaves => time::sleep(Duration::from_millis(300)).await,
            }
        }
        time::sleep(PAUSE).await;
    }
}

/// Opens streams of HTTP/2 and resets each at once, as fast as the server permits.
async fn reset_streams(server: SocketAddr, number: u32, tally: Tally) {
    loop {
        let flooded = async {
            let connection = wire::connect(server, number).await?;
            let (mut client, connection) = h2::client::handshake(connection)
                .await
                .map_err(io::Error::other)?;
            let driver = tokio::spawn(async move { connection.await.map_err(io::Error::other) });
            loop {
                client = client.ready().await.map_err(io::Error::other)?;
                let request = http::Request::post(format!("http://{server}/v1/chat/completions"));
                let request = request.body(()).map_err(io::Error::other)?;
                let (_, mut stream) = client
                    .send_request(request, false)
                    .map_err(io::Error::other)?;
                stream.send_reset(h2::Reason::CANCEL);
                tally.count("reset");
                if driver.is_finished() {
                    return driver.await.map_err(io::Error::other)?.map(|()| 0);
                }
                tokio::task::yield_now().await;
            }
        };
        tally.add(flooded.await.ok());
        time::sleep(PAUSE).await;
    }
}

/// The answers to the attackers. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally(Arc<Mutex<BTreeMap<String, u64>>>);

impl Tally {
    /// Counts the status of an answer; `None` where the connection was closed without one.
    fn add(&self, status: Option<u16>) {
        match status {
            Some(status) => self.count(&status.to_string()),
            None => self.count("closed"),
        }
    }

    fn count(&self, what: &str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match counts.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(counts.insert(what.to_owned(), 1)),
        }
    }

    pub(crate) fn server_errors(&self) -> u64 {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts
            .iter()
            .filter(|(what, _)| what.starts_with('5'))
            .map(|(_, count)| count)
            .sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts: Vec<_> = counts
            .iter()
            .map(|(what, count)| format!("{what}: {count}"))
            .collect();
        f.write_str(&counts.join(", "))
    }
}

impl Serialize for Tally {
    fn serialize<S>(&self, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.serialize(serializer)
    }
}
