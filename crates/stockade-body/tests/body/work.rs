//! Scheduling of long validations.

use std::{
    future::poll_fn,
    num::NonZeroUsize,
    pin::{Pin, pin},
    sync::mpsc::{self, Sender},
    task::Poll,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use stockade_body::{BodyLayer, BodyRules, ImageRules, Profile};
use stockade_testkit::poll::until_async;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Outcome, layer, post, send};

const BODY: usize = 10 << 20;

/// Repeats a pattern between a prefix and a suffix.
fn repeated(begin: &[u8], unit: &[u8], end: &[u8]) -> Bytes {
    let units = (BODY - begin.len() - end.len()) / unit.len();
    [begin, &unit.repeat(units), end].concat().into()
}

/// The most expensive text per byte: only escapes.
fn most_expensive() -> Bytes {
    repeated(b"\"", br"\n", b"\"")
}

/// A runtime with one async thread and one blocking thread, which is busy until the sender is
/// dropped.
fn busy() -> (Runtime, Sender<()>) {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_time().max_blocking_threads(1).build();
    let runtime = runtime.unwrap();
    let (release, held) = mpsc::channel::<()>();
    runtime.spawn_blocking(move || held.recv());
    (runtime, release)
}

/// Polls once. Work that is still pending runs on another thread.
async fn is_pending<F>(future: &mut F) -> bool
where
    F: Future<Output = Outcome> + Unpin,
{
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

fn text(body: Bytes) -> Request<Full<Bytes>> {
    post("application/json", body)
}

// B05, B10
#[test]
fn a_long_validation_does_not_block_other_requests() {
    let (runtime, release) = busy();
    let layer = layer(Profile::json());
    runtime.block_on(async {
        let mut long = Box::pin(send(&layer, text(most_expensive())));
        assert!(is_pending(&mut long).await, "the only thread was held");
        let short = send(&layer, text("{}".into())).await;
        assert_eq!(short.code(), "passed");
        assert!(is_pending(&mut long).await);
        drop(release);
        assert_eq!(long.await.code(), "passed");
    });
}

// B05, B10, I06
#[test]
fn long_validations_leave_the_async_thread() {
    let (runtime, _busy) = busy();
    let images = ImageRules::default().frames(u32::MAX).bytes(BODY as u64);
    let json = Profile::json;
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0abcd";
    let jpeg =
        b"\xff\xd8\xff\xc2\0\x0b\x08\0\x01\0\x01\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\0\0";
    for (what, profile, content_type, body) in [
        ("escapes", json(), "application/json", most_expensive()),
        (
            "pairs",
            json(),
            "application/json",
            repeated(b"\"", br"\ud83d\ude00", b"\""),
        ),
        (
            "characters",
            json(),
            "application/json",
            repeated(b"\"", "é".as_bytes(), b"\""),
        ),
        (
            "letters",
            json(),
            "application/json",
            repeated(b"\"", b"a", b"\""),
        ),
        (
            "values",
            json(),
            "application/json",
            repeated(b"[", b"[[]],", b"0]"),
        ),
        (
            "a name",
            json(),
            "application/json",
            repeated(b"{\"", br"\u0061", b"\":0}"),
        ),
        (
            "numbers",
            json(),
            "application/json",
            repeated(b"[", &[&[b'1'; 200][..], b","].concat(), b"0]"),
        ),
        (
            "space",
            json(),
            "application/json",
            repeated(b"[", b" ", b"]"),
        ),
        (
            "chunks",
            Profile::image(),
            "image/png",
            repeated(png, b"\0\0\0\0tEXt----", b""),
        ),
        (
            "fill",
            Profile::image(),
            "image/jpeg",
            repeated(b"\xff\xd8", b"\xff", b""),
        ),
        (
            "scans",
            Profile::image(),
            "image/jpeg",
            repeated(jpeg, b"\0", b"\xff\xd9"),
        ),
        (
            "blocks",
            Profile::image(),
            "image/gif",
            repeated(b"GIF89a\x01\0\x01\0\0\0\0\x21\xfe", b"\x01a", b""),
        ),
        #[cfg(feature = "multipart")]
        (
            "a form",
            Profile::multipart(),
            "multipart/form-data; boundary=b",
            repeated(
                b"--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n",
                b"a",
                b"\r\n--b--\r\n",
            ),
        ),
    ] {
        let layer = layer(profile.images(images.clone()));
        let mut checked = Box::pin(send(&layer, post(content_type, body)));
        assert!(runtime.block_on(is_pending(&mut checked)), "{what}");
    }
}

#[tokio::test]
async fn validates_a_large_picture_inline() {
    // One chunk of pixels, as encoders write it: a megabyte that the walk skips.
    let pixels = vec![0x55; 1 << 20];
    let length = u32::try_from(pixels.len()).unwrap().to_be_bytes();
    let png = [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x04\0\0\0\x04\0\x08\0\0\0\0abcd",
        &length[..],
        b"IDAT",
        &pixels,
        b"abcd\0\0\0\0IENDabcd",
    ]
    .concat();
    let url = format!("data:image/png;base64,{}", STANDARD.encode(png));
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{url}"}}}}]}}]}}"#
    );
    let layer = layer(Profile::openai_chat());
    let mut checked = pin!(send(&layer, text(body.into())));
    let checked = poll_fn(|cx| Poll::Ready(checked.as_mut().poll(cx)));
    let Poll::Ready(outcome) = checked.await else {
        panic!("it went to another thread");
    };
    assert_eq!(outcome.passed().images.unwrap().as_slice().len(), 1);
}

#[test]
fn validates_inline_without_a_runtime() {
    let layer = layer(Profile::json());
    let mut checked = pin!(send(&layer, text(most_expensive())));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    let Poll::Ready(outcome) = checked.as_mut().poll(&mut cx) else {
        panic!("never woken");
    };
    assert_eq!(outcome.code(), "passed");
}

fn for_one_at_a_time(bodies: usize) -> BodyLayer {
    BodyLayer::new(
        BodyRules::new()
            .route(Method::POST, "/", Profile::json())
            .validation_threads(NonZeroUsize::MIN)
            .total_memory(bodies * BODY),
    )
}

// B10
#[test]
fn queued_bodies_keep_their_memory() {
    let (runtime, release) = busy();
    let layer = for_one_at_a_time(3);
    runtime.block_on(async {
        let mut waiting = Vec::new();
        for _ in 0..3 {
            let mut long = Box::pin(send(&layer, text(most_expensive())));
            assert!(is_pending(&mut long).await);
            waiting.push(long);
        }
        let refused = send(&layer, text(most_expensive())).await.refused();
        assert_eq!((refused.status, &*refused.code), (503, "UNAVAILABLE"));
        drop(release);
        for long in waiting {
            assert_eq!(long.await.code(), "passed");
        }
    });
}

// R11
#[test]
fn a_disconnect_cancels_the_validation() {
    let (runtime, release) = busy();
    let layer = for_one_at_a_time(2);
    runtime.block_on(async {
        // One body is on the thread, one waits for a slot.
        let mut first = Box::pin(send(&layer, text(most_expensive())));
        let mut second = Box::pin(send(&layer, text(most_expensive())));
        assert!(is_pending(&mut first).await && is_pending(&mut second).await);
        drop((first, second));
        drop(release);
        // The thread has yet to notice that the first was cancelled.
        until_async("the memory of both is released", async || {
            let first = send(&layer, text(most_expensive()));
            let second = send(&layer, text(most_expensive()));
            let (first, second) = tokio::join!(first, second);
            first.code() == "passed" && second.code() == "passed"
        })
        .await;
    });
}

#[tokio::test]
async fn both_threads_give_the_same_result() {
    let rules = || Profile::json().rule("/a", stockade_body::Rule::Boolean);
    let layer = layer(rules());
    let expensive = |value: &str| {
        repeated(
            br#"{"b":""#,
            br"\n",
            format!(r#"","a":{value}}}"#).as_bytes(),
        )
    };
    assert_eq!(
        send(&layer, text(expensive("true"))).await.passed().body,
        expensive("true")
    );
    let refused = send(&layer, text(expensive("1"))).await.refused();
    assert_eq!((refused.status, refused.param.as_deref()), (400, Some("a")));
}
