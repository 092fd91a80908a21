//! The errors at the end of streams.

use crate::site::{Site, Stream};

const EVENTS: (&str, &str) = ("x-type", "text/event-stream; charset=utf-8");

/// Opens a response to a request with these headers, and ends it after this text.
async fn end(headers: &[(&str, &str)], sent: &str) -> String {
    let site = Site::new("").await;
    let stream: Stream = site.open("POST", &site.bearer("a"), headers).await;
    if !sent.is_empty() {
        stream.send(sent);
        stream.until_received(sent).await;
    }
    site.write_keys(&["b"]);
    let text = stream.until_ended().await;
    assert!(stream.is_cancelled());
    assert_eq!(site.record_of("a").await["code"], "AUTHENTICATION_FAILED");
    text[sent.len()..].to_owned()
}

#[tokio::test]
async fn events_end_with_an_error_in_the_format_of_the_client() {
    let openai = end(&[EVENTS], "data: 1\n\n").await;
    let error = openai.strip_prefix("data: ").unwrap();
    let error: serde_json::Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["error"]["type"], "authentication_error");
    assert_eq!(error["error"]["code"], "AUTHENTICATION_FAILED");

    let version = ("anthropic-version", "2023-06-01");
    let anthropic = end(&[EVENTS, version], "event: ping\ndata: {}\n\n").await;
    let error = anthropic.strip_prefix("event: error\ndata: ").unwrap();
    let error: serde_json::Value = serde_json::from_str(error).unwrap();
    assert_eq!(error["type"], "error");
    assert_eq!(error["error"]["type"], "authentication_error");
}

#[tokio::test]
async fn the_error_is_an_event_of_its_own() {
    for (sent, separator) in [
        ("", ""),
        (": keep-alive\n\n", ""),
        ("data: 1\r\n\r\n", ""),
        ("data: 1\n", "\n\n"),
        ("data: {\"id\":", "\n\n"),
    ] {
        let rest = end(&[EVENTS], sent).await;
        let start = format!("{separator}data: {{\"error\":");
        assert!(rest.starts_with(&start), "{sent:?}: {rest:?}");
    }
}

#[tokio::test]
async fn grpc_ends_with_a_status() {
    let trailers = end(&[("x-type", "application/grpc+proto")], "").await;
    assert!(trailers.contains(r#""grpc-status": "16""#), "{trailers}");
    assert!(trailers.contains("the API key is not valid"), "{trailers}");
}

#[tokio::test]
async fn a_handler_can_write_the_error_and_mark_other_streams() {
    let custom = ("x-final", "1");
    let lines = end(&[("x-type", "application/x-ndjson"), custom], "{}\n").await;
    assert_eq!(lines, "end AUTHENTICATION_FAILED\n");
    let events = end(&[EVENTS, custom], "data: 1\n\n").await;
    assert_eq!(events, "end AUTHENTICATION_FAILED\n");
}

#[tokio::test]
async fn a_compressed_stream_ends_without_an_error() {
    let rest = end(&[EVENTS, ("x-encoding", "gzip")], "data: 1\n\n").await;
    assert_eq!(rest, "");
}
