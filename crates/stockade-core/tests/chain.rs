//! A chain does what a layer each would do.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use proptest::prelude::*;
use stockade_core::{
    guard::{Check, Guard, GuardLayer, GuardStack, Head, NoWait, Outcome, ResponseHook},
    refusal::{Refusal, RefusalKind},
};
use stockade_testkit::{Probe, Script, contract};
use tower::{Layer, Service, ServiceExt, service_fn};

type Events = Arc<Mutex<Vec<String>>>;

/// What a guard does with a request.
#[derive(Clone, Copy, Debug)]
struct Play {
    waits: bool,
    refuses: bool,
}

/// Notes what happens to it.
#[derive(Clone)]
struct Actor<const AT: usize> {
    play: Play,
    events: Events,
}

impl<const AT: usize> Actor<AT> {
    fn note(&self, event: impl std::fmt::Display) {
        self.events.lock().unwrap().push(format!("{AT} {event}"));
    }
}

fn no() -> Refusal {
    Refusal::new(RefusalKind::Forbidden, "the script refuses it")
}

impl<const AT: usize> Guard for Actor<AT> {
    const NAME: &'static str = "actor";
    type Pass = ();
    type Hook = Self;
    type Wait = Pin<Box<dyn Future<Output = Result<(), Refusal>> + Send>>;

    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        // The outer guards have already admitted the request.
        let admitted = head.headers.get_all("x-admitted").iter().count();
        self.note(format_args!("checks after {admitted}"));
        let Play { waits, refuses } = self.play;
        match (waits, refuses) {
            (false, false) => Check::Pass(()),
            (false, true) => Check::Refuse(no()),
            (true, _) => Check::Wait(Box::pin(async move {
                tokio::task::yield_now().await;
                if refuses { Err(no()) } else { Ok(()) }
            })),
        }
    }

    fn admit(&self, (): (), head: &mut Head) -> Self {
        self.note("admits");
        head.headers.append("x-admitted", AT.into());
        self.clone()
    }
}

impl<const AT: usize> ResponseHook for Actor<AT> {
    fn on_response(&mut self, status: StatusCode, headers: &mut HeaderMap) {
        self.note(format_args!("head {}", status.as_u16()));
        headers.append("x-seen", AT.into());
    }

    fn on_data(&mut self, data: &Bytes, last: bool) {
        self.note(format_args!("data {} {last}", data.len()));
    }

    fn on_trailers(&mut self, trailers: &HeaderMap) {
        self.note(format_args!("trailers {}", trailers.len()));
    }

    fn on_end(self, end: Outcome) {
        self.note(format_args!("{end:?}"));
    }
}

/// The stage at which a client leaves.
#[derive(Clone, Copy, Debug)]
enum Client {
    Polls(usize),
    LeavesBeforeTheBody,
    ReadsAll,
}

/// All that can be seen of one request.
async fn observe<S, B>(service: S, events: &Events, method: Method, client: Client) -> Vec<String>
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body<Data = Bytes>,
{
    let request = Request::builder().method(method).body(()).unwrap();
    let mut seen = Vec::new();
    let exchange = async {
        let Ok(response) = service.oneshot(request).await else {
            return vec!["the service failed".to_owned()];
        };
        let (head, body) = response.into_parts();
        let mut seen = vec![format!("{:?} {:?}", head.status, head.headers)];
        if let Client::LeavesBeforeTheBody = client {
            return seen;
        }
        seen.push(match body.collect().await {
            Ok(body) => format!("{:?} {:?}", body.trailers().cloned(), body.to_bytes()),
            Err(_) => "body failed".to_owned(),
        });
        seen
    };
    match client {
        Client::Polls(polls) => {
            let mut exchange = Box::pin(exchange);
            for _ in 0..polls {
                let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
                if exchange.as_mut().poll(&mut cx).is_ready() {
                    break;
                }
            }
        }
        Client::LeavesBeforeTheBody | Client::ReadsAll => seen = exchange.await,
    }
    // Each guard by itself: where a body ends with its head, layers end one by one, and a
    // chain ends when all have seen the head.
    let mut events = std::mem::take(&mut *events.lock().unwrap());
    events.sort_by_key(|event| event.as_bytes()[0]);
    seen.extend(events);
    seen
}

fn actors(plays: [Play; 3], events: &Events) -> (Actor<0>, Actor<1>, Actor<2>) {
    let events = || Arc::clone(events);
    (
        Actor {
            play: plays[0],
            events: events(),
        },
        Actor {
            play: plays[1],
            events: events(),
        },
        Actor {
            play: plays[2],
            events: events(),
        },
    )
}

fn client() -> impl Strategy<Value = Client> {
    prop_oneof![
        (0_usize..12).prop_map(Client::Polls),
        Just(Client::LeavesBeforeTheBody),
        Just(Client::ReadsAll),
    ]
}

fn play() -> impl Strategy<Value = Play> {
    (any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(waits, refuses)| Play { waits, refuses })
}

proptest! {
    // R11
    #[test]
    fn a_chain_is_seen_and_sees_as_layers_would(
        plays in prop::array::uniform3(play()),
        script in prop::sample::select(&[Script::Complete, Script::BodyFails, Script::Fails]),
        method in prop::sample::select(&[Method::GET, Method::HEAD]),
        client in client(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let events = Events::default();
            let (a, b, c) = actors(plays, &events);
            let layers = GuardLayer::new(c).layer(Probe::new(script));
            let layers = GuardLayer::new(a).layer(GuardLayer::new(b).layer(layers));
            let layers = observe(layers, &events, method.clone(), client).await;

            let (a, b, c) = actors(plays, &events);
            let left = a.then(b).then(c).into_layer().layer(Probe::new(script));
            let left = observe(left, &events, method.clone(), client).await;
            prop_assert_eq!(&left, &layers);

            let (a, b, c) = actors(plays, &events);
            let right = a.then(b.then(c)).into_layer().layer(Probe::new(script));
            let right = observe(right, &events, method, client).await;
            prop_assert_eq!(&right, &layers);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_chain_upholds_the_contract() {
    for waits in [false, true] {
        let play = Play {
            waits,
            refuses: false,
        };
        let (a, b, c) = actors([play; 3], &Events::default());
        let layer = a.then(Some(b)).then(None::<Actor<1>>).then(c).into_layer();
        contract::uphold(&layer, || Request::new(())).await;
    }
}

// R11
#[tokio::test]
async fn admitting_guards_receive_the_panic_of_the_service() {
    let play = Play {
        waits: false,
        refuses: false,
    };
    let events = Events::default();
    let (a, b, _) = actors([play; 3], &events);
    let service = a.then(b).into_layer().layer(service_fn(|_: Request<()>| {
        if true {
            panic!("a service's bug");
        }
        std::future::ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    }));
    let panicked = tokio::spawn(service.oneshot(Request::new(()))).await;
    assert!(panicked.unwrap_err().is_panic());
    let events = events.lock().unwrap();
    assert_eq!(events[events.len() - 2..], ["1 Panicked", "0 Panicked"]);
}

/// Which of a hold's methods panics.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hook {
    Head,
    Data,
    Trailers,
    Outcome,
}

struct Panics(Hook);

impl Guard for Panics {
    const NAME: &'static str = "panics";
    type Pass = ();
    type Hook = Self;
    type Wait = NoWait;

    fn check(&self, _head: &Head) -> Check<(), NoWait> {
        Check::Pass(())
    }

    fn admit(&self, (): (), _head: &mut Head) -> Self {
        Self(self.0)
    }
}

impl Panics {
    fn at(&self, hook: Hook) {
        assert_ne!(self.0, hook, "a guard's bug");
    }
}

impl ResponseHook for Panics {
    fn on_response(&mut self, _status: StatusCode, _headers: &mut HeaderMap) {
        self.at(Hook::Head);
    }

    fn on_data(&mut self, _data: &Bytes, _last: bool) {
        self.at(Hook::Data);
    }

    fn on_trailers(&mut self, _trailers: &HeaderMap) {
        self.at(Hook::Trailers);
    }

    fn on_end(self, _end: Outcome) {
        self.at(Hook::Outcome);
    }
}

// R11
#[tokio::test]
async fn outer_guards_receive_the_panic_of_a_hook() {
    let play = Play {
        waits: false,
        refuses: false,
    };
    for hook in [Hook::Head, Hook::Data, Hook::Trailers, Hook::Outcome] {
        let events = Events::default();
        let (outer, _, _) = actors([play; 3], &events);
        let service = outer.then(Panics(hook)).into_layer();
        let service = service.layer(Probe::new(Script::Complete));
        let request = async {
            let response = service.oneshot(Request::new(())).await.unwrap();
            response.into_body().collect().await.unwrap();
        };
        let panicked = tokio::spawn(request).await.unwrap_err();
        assert!(panicked.is_panic(), "{hook:?}");
        let events = events.lock().unwrap();
        let ends = events.iter().filter(|event| event.starts_with("0 Pan"));
        assert_eq!(ends.count(), 1, "{hook:?} {events:?}");
        assert_eq!(events.last().unwrap(), "0 Panicked", "{hook:?} {events:?}");
    }
}

#[test]
fn a_chain_shows_its_guards() {
    let play = Play {
        waits: false,
        refuses: false,
    };
    let (a, b, _) = actors([play; 3], &Events::default());
    let layer = a.then(b).into_layer();
    assert_eq!(format!("{layer:?}"), r#"GuardLayer(["actor", "actor"])"#);
}
