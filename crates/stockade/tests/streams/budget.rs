//! Streams that use more tokens than their client has.

use std::{
    pin::Pin,
    task::{Context, Waker},
};

use stockade::core::llm::TokenUsage;

use crate::site::Site;

/// Without a model request, 1,000 tokens are reserved.
const BUDGET: &str = "[token_budget]\nby_key = '2000/minute'\n";

fn usage(completion_tokens: u64) -> TokenUsage {
    TokenUsage {
        prompt_tokens: 10,
        completion_tokens,
    }
}

#[tokio::test]
async fn a_stream_ends_when_its_budget_is_used_up() {
    for estimated in [false, true] {
        let site = Site::new(BUDGET).await;
        let stream = site.stream("POST", "a", "text/event-stream").await;
        let report = |tokens| match estimated {
            true => stream.context.set_estimated_usage(usage(tokens)),
            false => stream.context.set_usage(usage(tokens)),
        };
        // Beyond the reservation, and within the budget.
        report(1_500);
        stream.send("data: 1\n\n");
        let control = site.stream("GET", "b", "text/event-stream").await;
        site.write_keys(&["a"]);
        control.until_ended().await;
        assert!(!stream.is_cancelled());

        report(2_500);
        let text = stream.until_ended().await;
        assert!(text.contains(r#""code":"TOKEN_LIMIT""#), "{text}");
        assert!(stream.is_cancelled());
        // What was used is charged: it is more than the budget.
        let record = site.record_of("a").await;
        assert_eq!(record["code"], "TOKEN_LIMIT");
        assert_eq!(record["completion_tokens"], 2_500, "{record}");
        let refused = site.status("POST", &site.bearer("a")).await;
        assert_eq!(refused, 429);
        let counted = r#"stockade_streams_cut_total{reason="budget"} 1"#;
        assert!(site.metrics().contains(counted), "{}", site.metrics());
    }
}

#[tokio::test]
async fn a_chat_without_max_tokens_ends_when_its_model_ignores_the_default() {
    let budget = "[token_budget]\nby_key = '1000/minute'\ndefault_max_tokens = 100\n";
    let site = Site::new(budget).await;
    let chat = site.chat("a").await;
    // More than the 100 tokens that are reserved, and then more than there are.
    chat.context.set_usage(usage(500));
    chat.send("data: 1\n\n");
    chat.until_received("data: 1").await;
    chat.context.set_usage(usage(3_000));
    let text = chat.until_ended().await;
    assert!(text.contains(r#""code":"TOKEN_LIMIT""#), "{text}");
    let record = site.record_of("a").await;
    assert_eq!(record["completion_tokens"], 3_000, "{record}");
}

#[tokio::test]
async fn a_stream_within_its_reservation_continues_without_a_budget() {
    let site = Site::new(BUDGET).await;
    let first = site.stream("POST", "a", "text/event-stream").await;
    let second = site.stream("POST", "a", "text/event-stream").await;
    // Nothing is left, but both have what they need.
    assert_eq!(site.status("POST", &site.bearer("a")).await, 429);
    first.context.set_usage(usage(900));
    second.context.set_usage(usage(900));
    let control = site.stream("GET", "b", "text/event-stream").await;
    site.write_keys(&["a"]);
    control.until_ended().await;
    assert!(!first.is_cancelled() && !second.is_cancelled());
    // One of them needs more than there is.
    second.context.set_usage(usage(1_900));
    let text = second.until_ended().await;
    assert!(text.contains("TOKEN_LIMIT"), "{text}");
    assert!(!first.is_cancelled());
}

#[tokio::test]
async fn a_handler_waits_for_the_end_of_the_access() {
    let site = Site::new(BUDGET).await;
    let mut request = http::Extensions::new();
    let mut endless = Box::pin(site.fence.access_ended(&request));
    assert!(
        is_pending(endless.as_mut()),
        "nothing is known of the request"
    );

    let stream = site.stream("POST", "a", "application/octet-stream").await;
    request.insert(stream.context.clone());
    let mut ended = Box::pin(site.fence.access_ended(&request));
    assert!(is_pending(ended.as_mut()));
    site.write_keys(&["b"]);
    assert_eq!(ended.await.code(), "AUTHENTICATION_FAILED");
    assert!(!stream.is_cancelled(), "the handler decides");
}

fn is_pending(future: Pin<&mut impl Future>) -> bool {
    future
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_pending()
}
