//! The driver under guards that wait, hold, refuse, and do nothing.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use stockade_core::{
    context::RequestContext,
    guard::{
        BoxGuard, Check, CheckOutcome, Guard, GuardLayer, GuardList, GuardStack, Head, NoWait,
        Outcome, ResponseHook,
    },
    refusal::{Refusal, RefusalKind},
};
use stockade_testkit::{Probe, Script, contract};
use tower::{Layer, ServiceExt, service_fn};

/// Passes at once and holds nothing.
struct Open;

impl Guard for Open {
    const NAME: &'static str = "open";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Pass(())
    }

    fn admit(&self, _pass: (), _head: &mut Head) {}
}

/// Waits a little, holds a recorder, and refuses a request whose header asks for it.
#[derive(Clone, Default)]
struct Recording {
    events: Arc<Mutex<Vec<String>>>,
}

struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    fn note(&self, event: impl Into<String>) {
        self.0.lock().unwrap().push(event.into());
    }
}

impl ResponseHook for Recorder {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.note(format!("head {}", status.as_u16()));
        headers.insert("x-held", "1".parse().unwrap());
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.note(format!("trailers {}", trailers.len()));
    }

    fn on_end(self, end: Outcome) {
        self.note(format!("{end:?}"));
    }
}

impl Guard for Recording {
    const NAME: &'static str = "recording";
    type Pass = ();
    type Hook = Recorder;
    type Wait = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send + Sync>>;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        let refused = head.headers.contains_key("x-refuse");
        Check::Wait(Box::pin(async move {
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            if refused {
                return Err(Refusal::new(RefusalKind::Forbidden, "told to refuse"));
            }
            Ok(())
        }))
    }

    fn admit(&self, _pass: (), _head: &mut Head) -> Recorder {
        Recorder(Arc::clone(&self.events))
    }
}

impl Recording {
    fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().drain(..).collect()
    }
}

#[tokio::test]
async fn a_ready_guard_upholds_the_contract() {
    contract::uphold(&GuardLayer::new(Open), || Request::new(())).await;
}

#[tokio::test]
async fn a_waiting_guard_upholds_the_contract() {
    contract::uphold(&GuardLayer::new(Recording::default()), || Request::new(())).await;
}

/// Notes whether an outer guard has waited.
#[derive(Clone, Default)]
struct NotesWaiting(Arc<Mutex<Vec<bool>>>);

impl Guard for NotesWaiting {
    const NAME: &'static str = "notes_waiting";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    fn check(&self, head: &Head) -> Check<(), NoWait> {
        self.0.lock().unwrap().push(head.context().has_waited());
        Check::Pass(())
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

#[tokio::test]
async fn guards_know_whether_one_before_them_has_waited() {
    let notes = NotesWaiting::default();
    let all = || notes.clone().then(Recording::default()).then(notes.clone());
    let chained = all().into_layer().layer(Probe::new(Script::Complete));
    chained.oneshot(Request::new(())).await.unwrap();
    assert_eq!(*notes.0.lock().unwrap(), [false, true]);

    let separate = GuardLayer::new(notes.clone()).layer(
        GuardLayer::new(Recording::default())
            .layer(GuardLayer::new(notes.clone()).layer(Probe::new(Script::Complete))),
    );
    separate.oneshot(Request::new(())).await.unwrap();
    assert_eq!(*notes.0.lock().unwrap(), [false, true, false, true]);
}

#[tokio::test]
async fn a_hold_sees_head_trailers_and_one_end() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(Probe::new(Script::Complete));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["x-held"], "1");
    response.into_body().collect().await.unwrap();
    assert_eq!(guard.events(), ["head 200", "trailers 1", "Completed"]);
}

#[tokio::test]
async fn a_hold_hears_that_the_body_failed() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(Probe::new(Script::BodyFails));
    let response = service.oneshot(Request::new(())).await.unwrap();
    response.into_body().collect().await.unwrap_err();
    assert_eq!(guard.events(), ["head 200", "Failed"]);
}

#[tokio::test]
async fn a_hold_hears_that_the_service_failed() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(Probe::new(Script::Fails));
    service.oneshot(Request::new(())).await.unwrap_err();
    assert_eq!(guard.events(), ["Failed"]);
}

#[tokio::test]
async fn a_hold_hears_that_the_client_left_in_the_body() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(Probe::new(Script::Complete));
    let mut response = service.oneshot(Request::new(())).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    assert_eq!(guard.events(), ["head 200", "Dropped"]);
}

// R11
#[tokio::test]
async fn a_hold_hears_that_the_client_left_before_the_response() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<Empty<Bytes>>, Infallible>>()
    }));
    let request = service.oneshot(Request::new(()));
    tokio::time::pause();
    tokio::time::timeout(Duration::from_secs(1), request)
        .await
        .unwrap_err();
    assert_eq!(guard.events(), ["Dropped"]);
}

// R11
#[tokio::test]
async fn a_hold_hears_that_the_handler_panicked() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(service_fn(|_: Request<()>| async {
        if true {
            panic!("a handler's bug");
        }
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    let handler = tokio::spawn(service.oneshot(Request::new(())));
    assert!(handler.await.unwrap_err().is_panic());
    assert_eq!(guard.events(), ["Panicked"]);
}

#[tokio::test]
async fn a_body_that_no_server_polls_is_complete() {
    for (method, body) in [
        (Method::GET, ""),
        // A server sends the head of this one only.
        (Method::HEAD, "never sent"),
    ] {
        let guard = Recording::default();
        let service =
            GuardLayer::new(guard.clone()).layer(service_fn(move |_: Request<()>| async move {
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(body))))
            }));
        let request = Request::builder().method(method).body(()).unwrap();
        drop(service.oneshot(request).await.unwrap());
        assert_eq!(guard.events(), ["head 200", "Completed"]);
    }
}

#[tokio::test]
async fn the_last_frame_of_a_known_length_is_the_end() {
    let guard = Recording::default();
    let service = GuardLayer::new(guard.clone()).layer(service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("all of it"))))
    }));
    let mut response = service.oneshot(Request::new(())).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    drop(response);
    assert_eq!(guard.events(), ["head 200", "Completed"]);
}

#[tokio::test]
async fn a_refusal_never_reaches_the_service() {
    let guard = Recording::default();
    let probe = Probe::new(Script::Complete);
    let service = GuardLayer::new(guard.clone()).layer(probe.clone());
    let request = Request::builder().header("x-refuse", "1").body(()).unwrap();
    let response = service.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(probe.in_flight(), 0);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{\"error\":"), "{body:?}");
    assert!(guard.events().is_empty());
}

#[test]
fn a_pass_of_a_ready_guard_allocates_nothing() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let inner = service_fn(|_: Request<Empty<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let service = GuardLayer::new(Open).layer(GuardLayer::new(Open).layer(inner));
    runtime.block_on(async {
        let allocated = allocation_counter::measure(|| {
            let future = service.clone().oneshot(Request::new(Empty::new()));
            let mut future = std::pin::pin!(future);
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(future.as_mut().poll(&mut cx).is_ready());
        });
        assert_eq!(allocated.count_total, 0);
    });
}

/// What the records of a request have, without the times.
fn recorded(context: &RequestContext) -> Vec<(&'static str, Option<CheckOutcome>)> {
    let records = context.checks();
    for record in &records {
        assert!(record.end.is_none_or(|(ended, _)| ended >= record.started));
    }
    records
        .iter()
        .map(|record| (record.guard, record.end.map(|(_, outcome)| outcome)))
        .collect()
}

#[tokio::test]
async fn records_the_checks_of_a_request_that_asks_for_it() {
    let mut list = GuardList::new();
    list.push(BoxGuard::new(Open));
    list.push(BoxGuard::new(Recording::default()));
    let allowed = Some(CheckOutcome::Allowed);
    let refused = Some(CheckOutcome::Refused("PERMISSION_DENIED"));
    let send = |header: &'static str, is_recorded: bool| {
        let context = RequestContext::new();
        if is_recorded {
            context.record_checks();
        }
        let guards = Open.then(list.clone()).then(Recording::default());
        let service = GuardLayer::new(guards).layer(Probe::new(Script::Complete));
        let request = Request::builder().header(header, "1");
        let request = request.extension(context.clone()).body(()).unwrap();
        async move {
            service.oneshot(request).await.unwrap();
            recorded(&context)
        }
    };
    assert_eq!(
        send("x-other", true).await,
        [
            ("open", allowed),
            ("open", allowed),
            ("recording", allowed),
            ("recording", allowed)
        ]
    );
    assert_eq!(send("x-other", false).await, []);
    assert_eq!(
        send("x-refuse", true).await,
        [("open", allowed), ("open", allowed), ("recording", refused)]
    );

    // Dropped while it waits.
    let context = RequestContext::new();
    context.record_checks();
    let service = GuardLayer::new(Recording::default()).layer(Probe::new(Script::Complete));
    let request = Request::builder()
        .extension(context.clone())
        .body(())
        .unwrap();
    let mut future = Box::pin(service.oneshot(request));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut cx).is_pending());
    drop(future);
    assert_eq!(recorded(&context), [("recording", None)]);
}
