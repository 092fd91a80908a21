//! Each fault of an upstream has one outcome.

use std::{num::NonZeroU64, time::Duration};

use http::header;
use http_body_util::BodyExt;
use stockade_server::upstream::{
    GroupSettings, UpstreamErrorKind as Kind, UpstreamGroup, UpstreamSettings,
};
use stockade_testkit::scripted_upstream::{Answer, Chat, RawUpstream, ScriptedUpstream, Step};
use tokio::{net::TcpListener, time::Instant};

use super::{MODEL, chat, exchange, group, settings};

/// Settings with timeouts that tests can wait for.
fn impatient(url: &str) -> GroupSettings {
    GroupSettings {
        first_byte_timeout: Duration::from_secs(1),
        idle_timeout: Duration::from_secs(1),
        max_response_bytes: NonZeroU64::new(1024 * 1024).unwrap(),
        ..settings([url])
    }
}

/// The outcome of an answer.
async fn outcome(answer: Answer) -> Result<(), Kind> {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(answer);
    let group = UpstreamGroup::new(MODEL, impatient(upstream.url())).unwrap();
    exchange(&group).await.map(|_| ())
}

fn stream() -> Answer {
    Chat::pieces(["a", "b", "c"]).stream()
}

// H05
#[tokio::test]
async fn fails_in_time_when_no_head_arrives() {
    assert_eq!(
        outcome(Answer::stall_before_head()).await,
        Err(Kind::FirstByteTimeout)
    );
}

// H05
#[tokio::test]
async fn fails_in_time_when_a_stream_stops() {
    let answer = stream().cut_after(2, Step::Stall);
    assert_eq!(outcome(answer).await, Err(Kind::IdleTimeout));
}

#[tokio::test]
async fn reports_a_reset_before_the_head() {
    assert_eq!(outcome(Answer::reset_before_head()).await, Err(Kind::Reset));
    assert_eq!(outcome(Answer::close_before_head()).await, Err(Kind::Reset));
}

#[tokio::test]
async fn reports_half_an_answer() {
    assert_eq!(
        outcome(Chat::new("Hello!").json().half()).await,
        Err(Kind::Reset)
    );
    for end in [Step::Close, Step::Reset] {
        let answer = stream().cut_after(2, end);
        assert_eq!(outcome(answer).await, Err(Kind::Reset));
    }
}

#[tokio::test]
async fn hands_on_bytes_that_arrive_slowly() {
    // Longer than the idle timeout in total.
    let answer = stream().paced(Duration::from_millis(200));
    assert_eq!(outcome(answer).await, Ok(()));
}

#[tokio::test]
async fn hands_on_content_that_only_the_caller_can_check() {
    let events = ["data: {\"broken\n\n", "nonsense"];
    assert_eq!(outcome(Answer::events(events)).await, Ok(()));
    let html = Chat::new("Hello!").json().content_type("text/html");
    assert_eq!(outcome(html).await, Ok(()));
}

#[tokio::test]
async fn refuses_encoded_bodies() {
    let answer = Chat::new("Hello!").json().gzip();
    assert_eq!(outcome(answer).await, Err(Kind::Protocol));
}

#[tokio::test]
async fn ends_endless_bodies() {
    let answer = Answer::endless(vec![b'x'; 16 * 1024]);
    assert_eq!(outcome(answer).await, Err(Kind::TooLarge));
    let promised = Answer::status(200).header(header::CONTENT_LENGTH, 1_000_000_000);
    assert_eq!(
        outcome(promised.step(Step::Stall)).await,
        Err(Kind::TooLarge)
    );
}

#[tokio::test]
async fn refuses_a_huge_head() {
    assert_eq!(
        outcome(Answer::huge_head(200_000)).await,
        Err(Kind::TooLarge)
    );
}

// I03
#[tokio::test]
async fn follows_no_redirect() {
    let target = ScriptedUpstream::http1().await;
    let answer = Answer::redirect(&format!("{}/chat/completions", target.url()));
    assert_eq!(outcome(answer).await, Err(Kind::Protocol));
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn refuses_malformed_responses() {
    for response in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 999999 x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\n",
    ] {
        let upstream = RawUpstream::new(response).await;
        let outcome = exchange(&group(upstream.url())).await;
        assert_eq!(outcome, Err(Kind::Protocol), "{response:?}");
    }
}

#[tokio::test]
async fn reports_a_refused_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(exchange(&group(&url)).await, Err(Kind::Connect));
    assert_eq!(
        exchange(&group("unix:/nowhere.sock")).await,
        Err(Kind::Connect)
    );
}

#[tokio::test]
async fn gives_up_a_connection_that_is_not_accepted() {
    // The handshake of TLS is never answered.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/v1", listener.local_addr().unwrap());
    let settings = GroupSettings {
        connect_timeout: Duration::from_millis(200),
        ..settings([&*url])
    };
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    assert_eq!(exchange(&group).await, Err(Kind::Connect));
}

#[tokio::test]
async fn ends_at_the_deadline_of_the_request() {
    let upstream = ScriptedUpstream::http1().await;
    let group = group(upstream.url());
    for answer in [
        Answer::stall_before_head(),
        stream().cut_after(1, Step::Stall),
        Answer::endless("x"),
    ] {
        upstream.next(answer);
        let mut request = chat();
        request.deadline = Instant::now() + Duration::from_millis(200);
        let error = match group.send(request).await {
            Ok(response) => super::read(response).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), Kind::Deadline);
    }
}

#[tokio::test]
async fn ends_at_the_deadline_when_the_client_is_slower_than_the_upstream() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Answer::endless("x"));
    let group = group(upstream.url());
    let mut request = chat();
    request.deadline = Instant::now() + Duration::from_millis(300);
    let mut body = group.send(request).await.unwrap().body;
    let error = loop {
        // Sleeps: simulates a slow client, for which there is always another chunk.
        tokio::time::sleep(Duration::from_millis(10)).await;
        if let Err(error) = body.frame().await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.kind(), Kind::Deadline);
}

#[tokio::test]
async fn waits_for_the_whole_of_a_response_that_is_not_streamed() {
    let upstream = ScriptedUpstream::http1().await;
    let head = Step::Wait(Duration::from_millis(1_500));
    upstream.always(Chat::new("Hello!").json().before_head(head));
    let group = UpstreamGroup::new(MODEL, impatient(upstream.url())).unwrap();
    let mut request = chat();
    request.streaming = false;
    assert_eq!(group.send(request).await.unwrap().status, 200);
    assert_eq!(exchange(&group).await, Err(Kind::FirstByteTimeout));
}

#[tokio::test]
async fn does_not_blame_the_upstream_for_a_client_that_pauses() {
    let upstream = ScriptedUpstream::http1().await;
    let answer = stream().cut_after(1, Step::Wait(Duration::from_millis(1_500)));
    upstream.always(answer.step(Step::Data("data: [DONE]\n\n".into())));
    let settings = GroupSettings {
        idle_timeout: Duration::from_secs(1),
        ..settings([upstream.url()])
    };
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let response = group.send(chat()).await.unwrap();
    // Sleeps: simulates a client that reads late.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    assert!(super::read(response).await.is_ok());
}

#[test]
fn refuses_settings_without_upstreams() {
    let error = UpstreamGroup::new(MODEL, GroupSettings::new(Vec::new())).unwrap_err();
    assert!(error.to_string().contains("no upstream"), "{error}");
    let mut upstream = UpstreamSettings::new("https://localhost/v1".parse().unwrap());
    upstream.ca_file = Some("/nowhere.pem".into());
    let error = UpstreamGroup::new(MODEL, GroupSettings::new(vec![upstream])).unwrap_err();
    assert!(error.to_string().contains("/nowhere.pem"), "{error}");
}
