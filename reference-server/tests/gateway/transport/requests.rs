//! What reaches the upstream.

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, header};
use stockade_server::upstream::{ApiKey, KeyHeader, UpstreamGroup};
use stockade_testkit::scripted_upstream::{Answer, Chat, ScriptedUpstream};

use super::{MODEL, chat, exchange, group, read, settings};

#[tokio::test]
async fn sends_the_body_unchanged_and_hands_on_the_response() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Chat::pieces(["Hello", "!"]).stream());
    let response = group(upstream.url()).send(chat()).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.headers[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(
        (&*response.upstream, response.attempts),
        (upstream.url(), 1)
    );
    let body = read(response).await.unwrap();
    assert!(body.ends_with(b"data: [DONE]\n\n"), "{body:?}");
    let [request] = &upstream.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.uri, "/v1/chat/completions");
    assert_eq!(request.body, chat().body.bytes);
}

#[tokio::test]
async fn adds_its_own_headers_only_and_never_the_clients_credentials() {
    let upstream = ScriptedUpstream::http1().await;
    let mut settings = settings([upstream.url()]);
    settings.upstreams[0].api_key = Some(ApiKey::new("sk-internal").unwrap());
    let group = UpstreamGroup::new(MODEL, settings).unwrap();
    let mut request = chat();
    let sent = [
        ("authorization", "Bearer sk-client"),
        ("proxy-authorization", "Basic abc"),
        ("x-api-key", "sk-client"),
        ("cookie", "session=1"),
        ("host", "elsewhere.example"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("connection", "x-hop"),
        ("te", "trailers"),
        ("accept-encoding", "gzip"),
        ("content-type", "application/json"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ];
    request.headers = sent
        .map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)))
        .into_iter()
        .collect();
    group.send(request).await.unwrap();
    let received = &upstream.requests()[0].headers;
    let expected = HeaderMap::from_iter([
        (header::AUTHORIZATION, "Bearer sk-internal".to_owned()),
        (header::HOST, upstream.address().unwrap().to_string()),
        (header::CONTENT_LENGTH, chat().body.bytes.len().to_string()),
        (header::ACCEPT_ENCODING, "identity".to_owned()),
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (
            header::HeaderName::from_static("traceparent"),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        ),
    ]);
    let received: HeaderMap<String> = received
        .iter()
        .map(|(name, value)| (name.clone(), value.to_str().unwrap().to_owned()))
        .collect();
    assert_eq!(received, expected);
}

#[tokio::test]
async fn sends_the_key_as_x_api_key() {
    let upstream = ScriptedUpstream::http1().await;
    let mut settings = settings([upstream.url()]);
    settings.upstreams[0].api_key = Some(ApiKey::new("sk-internal").unwrap());
    settings.upstreams[0].key_header = KeyHeader::XApiKey;
    exchange(&UpstreamGroup::new(MODEL, settings).unwrap())
        .await
        .unwrap();
    let received = &upstream.requests()[0].headers;
    assert_eq!(received["x-api-key"], "sk-internal");
    assert!(!received.contains_key(header::AUTHORIZATION));
}

#[tokio::test]
async fn replaces_the_name_of_the_model() {
    let upstream = ScriptedUpstream::http1().await;
    let mut settings = settings([upstream.url()]);
    settings.upstreams[0].model = Some("org/\"small\"".to_owned());
    exchange(&UpstreamGroup::new(MODEL, settings).unwrap())
        .await
        .unwrap();
    let request = &upstream.requests()[0];
    assert_eq!(
        request.body,
        &br#"{"model":"org/\"small\"","messages":[]}"#[..]
    );
    let length = request.body.len().to_string();
    assert_eq!(request.headers[header::CONTENT_LENGTH], length);
}

#[tokio::test]
async fn uses_a_connection_again() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Chat::new("Hello!").json());
    let group = group(upstream.url());
    for _ in 0..3 {
        exchange(&group).await.unwrap();
    }
    assert_eq!((upstream.requests().len(), upstream.connections()), (3, 1));
}

#[tokio::test]
async fn hands_on_errors_of_the_model_server() {
    let upstream = ScriptedUpstream::http1().await;
    let group = group(upstream.url());
    for status in [400, 401, 404, 422, 429, 500, 502, 503, 504] {
        upstream.next(Answer::error(status));
        let response = group.send(chat()).await.unwrap();
        assert_eq!(response.status, status);
        let body = read(response).await.unwrap();
        assert!(body.starts_with(br#"{"error""#), "{body:?}");
    }
}

#[tokio::test]
async fn keeps_the_connections_of_all_requests_that_may_run() {
    let upstream = ScriptedUpstream::http1().await;
    upstream.always(Chat::new("a").stream());
    let group = group(upstream.url());
    for _ in 0..2 {
        let sending = (0..60).map(|_| group.send(chat()));
        for response in join_all(sending).await {
            read(response.unwrap()).await.unwrap();
        }
    }
    // The last one may not be back in the pool before the next request is sent.
    let connections = upstream.connections();
    assert!((60..64).contains(&connections), "{connections}");
}
