//! Shutdown of a busy server: requests in flight complete, new ones are not accepted.

use std::{fs, path::Path, sync::Arc};

use futures_util::{Stream, StreamExt, stream::BoxStream};
use serde_json::{Value, json};
use stockade_server::{ShutdownReport, ShutdownSignal, tiny_model};
use stockade_testkit::poll::until_async;
use tokio::{io::AsyncWriteExt, net::TcpStream, sync::watch, task::JoinHandle};

use crate::{
    scripted_backend::{self, Script, ScriptedBackend},
    server_process::ServerProcess,
    test_server::{TestServer, chat_body},
    wire::read_to_end,
};

const STREAMS: usize = 50;
const RECORDS: &str = "[audit]\nfile = \"app.log\"\non_overflow = \"fail_closed\"\n";
const DONE: &str = "data: [DONE]\n\n";

type Pieces = BoxStream<'static, reqwest::Result<String>>;

/// The body of a successful response, as it arrives.
fn pieces(answer: reqwest::Response) -> Pieces {
    assert_eq!(answer.status(), 200);
    body(answer)
}

/// The body of a response, as it arrives.
fn body(answer: reqwest::Response) -> Pieces {
    let pieces = answer.bytes_stream();
    pieces
        .map(|piece| piece.map(|piece| String::from_utf8_lossy(&piece).into_owned()))
        .boxed()
}

/// Reads until the text contains `what`.
async fn received(pieces: &mut (impl Stream<Item = reqwest::Result<String>> + Unpin), what: &str) {
    let mut text = String::new();
    while !text.contains(what) {
        text += &pieces.next().await.unwrap().unwrap();
    }
}

/// The rest of a response, and whether it was interrupted.
async fn rest(mut pieces: Pieces) -> (String, bool) {
    let mut text = String::new();
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => text += &piece,
            Err(_) => return (text, true),
        }
    }
    (text, false)
}

fn records(log: &Path) -> Vec<Value> {
    let log = fs::read_to_string(log).unwrap();
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn chats(log: &Path) -> Vec<Value> {
    let records = records(log).into_iter();
    records
        .filter(|record| record["method"] == "POST")
        .collect()
}

/// The number of refusals that were counted instead of written.
fn repeated(log: &Path) -> u64 {
    let records = records(log);
    let counts = records.iter();
    counts
        .filter_map(|record| record["repeated"].as_u64())
        .sum()
}

// H01
#[tokio::test]
async fn lets_running_streams_complete() {
    let (end, signal) = watch::channel(false);
    let backend = ScriptedBackend::new(Script::Until(signal));
    let running = backend.running();
    let server = TestServer::with(Arc::new(backend), RECORDS).await;
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = pieces(server.chat_with(json!({"stream": true})).await);
        received(&mut stream, "\"some\"").await;
        streams.push(stream);
    }
    scripted_backend::wait_until(&running, STREAMS).await;

    server.shutdown.send_replace(ShutdownSignal::Graceful);
    until_async("a closed port", async || {
        std::net::TcpStream::connect(server.address).is_err()
    })
    .await;
    scripted_backend::wait_until(&running, STREAMS).await;
    end.send_replace(true);
    for stream in streams {
        let (text, broken) = rest(stream).await;
        assert!(!broken && text.ends_with(DONE), "{text}");
    }
    let log = server.file("app.log");
    let ended = server.report.await.unwrap();
    let expected = ShutdownReport {
        aborted: 0,
        immediate: false,
    };
    assert_eq!(ended, expected);
    let chats = chats(&log);
    assert_eq!(chats.len(), STREAMS);
    assert!(chats.iter().all(|chat| chat["outcome"] == "completed"));
}

/// The status of a response, or 0 without one, and the rest of it.
type Outcome = (u16, (String, bool));

/// A server with [`STREAMS`] chats. On the CPU one chat runs at a time and the others wait; the
/// first one is running and generates `tokens` tokens.
async fn busy_server(tokens: u32) -> (ServerProcess, Vec<JoinHandle<Outcome>>) {
    let lines = format!(
        "[server]\nshutdown_grace_secs = 300\n{RECORDS}[concurrency]\ntotal = 100\n\
         [model]\nmax_queued = 64\nqueue_wait_secs = 300\n"
    );
    let server = ServerProcess::start_in("", &lines, |folder| {
        tiny_model::write(&folder.join("model"), 1).unwrap();
    });
    server.wait_for_log("the model is ready");
    let ask = |tokens: u32| {
        let fields = json!({"stream": true, "max_tokens": tokens});
        server.chat(chat_body(json!("hello"), fields).to_string())
    };
    let mut first = pieces(ask(tokens).send().await.unwrap());
    received(&mut first, "\"content\"").await;
    let mut answers = vec![tokio::spawn(async { (200, rest(first).await) })];
    for _ in 1..STREAMS {
        let answer = ask(2).send();
        answers.push(tokio::spawn(async {
            match answer.await {
                Ok(answer) => (answer.status().as_u16(), rest(body(answer)).await),
                Err(_) => (0, (String::new(), true)),
            }
        }));
    }
    // Plus the request for the metrics.
    let all = Some((STREAMS + 1) as f64);
    until_async("the chats are accepted", async || {
        server.metric("stockade_requests_in_flight").await == all
    })
    .await;
    (server, answers)
}

// H01
#[tokio::test]
async fn sigterm_completes_accepted_requests_and_refuses_new_ones() {
    // Enough tokens that the first chat is running when the signal arrives.
    let (mut server, answers) = busy_server(1_000).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    let ask = b"GET /health HTTP/1.1\r\nhost: a\r\n\r\n";
    idle.write_all(ask).await.unwrap();
    idle.readable().await.unwrap();

    server.signal("TERM");
    let stopping = server.wait_for_log("stopping");
    assert!(stopping["connections"].as_u64().unwrap() > STREAMS as u64);
    assert!(answers.iter().all(|answer| !answer.is_finished()));
    assert!(TcpStream::connect(server.address).await.is_err());
    let received = read_to_end(&mut idle).await;
    assert_eq!(received.statuses(), [200], "{}", received.text);
    assert!(received.closed);

    for answer in answers {
        let (status, (text, broken)) = answer.await.unwrap();
        assert_eq!(status, 200);
        assert!(!broken && text.ends_with(DONE), "{text}");
    }
    assert_eq!(server.wait_for_log("stopped")["cut"], 0);
    assert_eq!(server.wait_for_exit(), Some(0));
    let chats = chats(&server.file("app.log"));
    assert_eq!(chats.len(), STREAMS);
    for chat in chats {
        assert_eq!(chat["outcome"], "completed", "{chat}");
        assert!(chat["completion_tokens"].as_u64() > Some(0), "{chat}");
    }
}

// H01, L05
#[tokio::test]
async fn a_second_sigterm_aborts_requests_and_reports_it() {
    let (mut server, answers) = busy_server(8_000).await;
    server.signal("TERM");
    server.wait_for_log("stopping");
    assert!(answers.iter().all(|answer| !answer.is_finished()));
    server.signal("TERM");
    let aborted = server.wait_for_log("stopped")["cut"].as_u64().unwrap();
    // The idle connection of the metrics may still be open.
    assert!((STREAMS as u64..=STREAMS as u64 + 1).contains(&aborted));
    assert_eq!(server.wait_for_exit(), Some(0));
    for (number, answer) in answers.into_iter().enumerate() {
        let (status, (text, broken)) = answer.await.unwrap();
        assert_eq!(status, if number == 0 { 200 } else { 503 });
        assert!(!broken && !text.contains(DONE), "{text}");
        assert!(text.contains("SERVER_STOPPING"), "{text}");
    }
    let log = server.file("app.log");
    let chats = chats(&log);
    let (live, waiting): (Vec<_>, Vec<_>) = chats.iter().partition(|chat| chat["status"] == 200);
    assert_eq!(live.len(), 1, "{chats:?}");
    assert!(live[0]["completion_tokens"].as_u64() > Some(0), "{live:?}");
    // From the eleventh on, refusals of one client are counted instead of written.
    assert_eq!(waiting.len() as u64 + repeated(&log), STREAMS as u64 - 1);
    assert!(waiting.iter().all(|chat| chat["status"] == 503));
    assert!(chats.iter().all(|chat| chat["code"] == "SERVER_STOPPING"));
    assert_eq!(live[0]["outcome"], "failed", "{live:?}");
}
