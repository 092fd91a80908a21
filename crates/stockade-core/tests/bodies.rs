//! A guard of bodies, between guards of heads.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full, StreamBody, combinators::Collect};
use stockade_core::{
    client::PeerAddr,
    context::{ContextGuard, RequestContext},
    guard::{Bodies, BodyGuard, Check, Guard, GuardStack, Head, NoWait, Outcome, ResponseHook},
    refusal::{Refusal, RefusalKind},
};
use stockade_testkit::{Probe, Script, contract};
use tower::{Layer, ServiceExt, service_fn};

/// Reads a text whole, and refuses a rude one.
struct Polite;

type Text = Full<Bytes>;

impl<B> BodyGuard<B> for Polite
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    type Body = Text;
    type Wait = Collect<B>;

    fn check(&self, head: &mut Head, body: B) -> Check<Text, Collect<B>> {
        if head.headers.contains_key("x-known") {
            return Check::Answer(Box::new(Response::new(Bytes::from("you again"))));
        }
        Check::Wait(body.collect())
    }

    fn poll_check(
        &self,
        wait: Pin<&mut Collect<B>>,
        cx: &mut Context<'_>,
        head: &mut Head,
    ) -> Poll<Result<Text, Refusal>> {
        let Ok(body) = ready!(wait.poll(cx));
        let text = body.to_bytes();
        if text == "damn" {
            return Poll::Ready(Err(Refusal::new(RefusalKind::Invalid, "be polite")));
        }
        head.headers.insert("x-length", text.len().into());
        Poll::Ready(Ok(Full::new(text)))
    }
}

/// Notes what it sees of a response, and what it saw of the request.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Guard for Notes {
    const NAME: &'static str = "notes";
    type Pass = ();
    type Hook = Self;
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), NoWait> {
        let length = head.headers.get("x-length");
        self.note(format!("checks, length {length:?}"));
        Check::Pass(())
    }

    fn admit(&self, (): (), _head: &mut Head) -> Self {
        self.clone()
    }
}

impl ResponseHook for Notes {
    fn on_response(&mut self, status: StatusCode, _headers: &mut HeaderMap) {
        self.note(format!("head {}", status.as_u16()));
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        self.note(format!("data {} {last}", data.len()));
    }

    fn on_end(self, end: Outcome) {
        self.note(format!("{end:?}"));
    }
}

/// Refuses a request whose header asks for it.
struct Door;

impl Guard for Door {
    const NAME: &'static str = "door";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), NoWait> {
        match head.headers.contains_key("x-refuse") {
            true => Check::Refuse(Refusal::new(RefusalKind::Forbidden, "told to refuse")),
            false => Check::Pass(()),
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

fn request<B>(body: B) -> Request<B> {
    let mut request = Request::new(body);
    request.extensions_mut().insert(PeerAddr::UnixSocket);
    request
}

/// Sends a request through all of them to a service that echoes.
async fn send<B>(request: Request<B>) -> (StatusCode, Bytes, Vec<String>)
where
    B: Body<Data = Bytes, Error = Infallible>,
{
    let (outer, inner) = (Notes::default(), Notes::default());
    let layer = ContextGuard::new()
        .then(outer.clone())
        .then(Door)
        .then(Bodies::new("polite", Polite))
        .then(inner.clone())
        .into_layer();
    let service = layer.layer(service_fn(async |request: Request<Text>| {
        Ok::<_, Infallible>(Response::new(request.into_body()))
    }));
    let response = service.oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let all = [outer, inner].iter().flat_map(Notes::take).collect();
    (status, body, all)
}

#[tokio::test]
async fn reads_a_body_between_outer_and_inner_guards() {
    let frames = ["ple", "ase"].map(|text| Ok(Frame::data(Bytes::from(text))));
    let (status, body, notes) = send(request(StreamBody::new(tokio_stream::iter(frames)))).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"please"[..]));
    let response = ["head 200", "data 6 true", "Completed"];
    let mut expected = vec!["checks, length None"];
    expected.extend(response);
    expected.push("checks, length Some(\"6\")");
    expected.extend(response);
    assert_eq!(notes, expected);
}

#[tokio::test]
async fn outer_hooks_see_a_refused_body() {
    let (status, body, notes) = send(request(Full::from("damn"))).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let data = format!("data {} true", body.len());
    assert_eq!(
        notes,
        ["checks, length None", "head 400", &data, "Completed"]
    );
}

// S07
#[tokio::test]
async fn what_is_refused_by_its_head_has_no_byte_read() {
    let read = Arc::new(Mutex::new(0));
    let count = Arc::clone(&read);
    let frames = tokio_stream::iter(std::iter::from_fn(move || {
        *count.lock().unwrap() += 1;
        Some(Ok(Frame::data(Bytes::from("endless"))))
    }));
    let mut refused = request(StreamBody::new(frames));
    refused.headers_mut().insert("x-refuse", 1.into());
    assert_eq!(send(refused).await.0, StatusCode::FORBIDDEN);
    assert_eq!(*read.lock().unwrap(), 0);
}

#[tokio::test]
async fn an_answer_is_no_refusal_and_no_guard_inside_sees_it() {
    let mut known = request(Full::from("please"));
    known.headers_mut().insert("x-known", 1.into());
    let (status, body, notes) = send(known).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &b"you again"[..]));
    assert_eq!(
        notes,
        [
            "checks, length None",
            "head 200",
            "data 9 true",
            "Completed"
        ]
    );

    let mut head = request(Full::from("please"));
    *head.method_mut() = Method::HEAD;
    head.headers_mut().insert("x-known", 1.into());
    let (_, _, notes) = send(head).await;
    assert_eq!(notes, ["checks, length None", "head 200", "Completed"]);
}

#[tokio::test]
async fn the_denial_names_the_guard_of_the_body() {
    let client = stockade_core::client::ClientIp::UnixSocket;
    let context = RequestContext::builder().client(client).build();
    let layer = Bodies::new("polite", Polite).into_layer();
    let service = layer.layer(service_fn(async |_: Request<Text>| {
        Ok::<_, Infallible>(Response::new(Text::default()))
    }));
    let mut request = Request::new(Text::from("damn"));
    request.extensions_mut().insert(context.clone());
    service.oneshot(request).await.unwrap();
    assert_eq!(context.denial().unwrap().guard, "polite");
}

#[tokio::test]
async fn a_chain_with_a_guard_of_bodies_upholds_the_contract() {
    /// Takes what the contract sends, and waits.
    struct Waits;

    impl BodyGuard<()> for Waits {
        type Body = ();
        type Wait = bool;

        fn check(&self, _head: &mut Head, (): ()) -> Check<(), bool> {
            Check::Wait(false)
        }

        fn poll_check(
            &self,
            mut wait: Pin<&mut bool>,
            cx: &mut Context<'_>,
            _head: &mut Head,
        ) -> Poll<Result<(), Refusal>> {
            if std::mem::replace(&mut *wait, true) {
                return Poll::Ready(Ok(()));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    }

    let layer = Notes::default()
        .then(Bodies::new("waits", Waits))
        .then(Door)
        .into_layer();
    contract::uphold(&layer, || Request::new(())).await;
    let layer = Bodies::new("waits", Waits).into_layer();
    contract::uphold(&layer, || Request::new(())).await;
    let response = layer.layer(Probe::new(Script::Complete));
    let response = response.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(format!("{layer:?}"), r#"GuardLayer(["waits"])"#);
}
