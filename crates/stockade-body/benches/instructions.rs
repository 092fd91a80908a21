//! Counts the instructions that the check adds to a request with a small chat, with callgrind.
//!
//! Runs itself under valgrind twice for each case. The difference between the run of twice the
//! requests and the other is the cost of the requests without start-up. Fails if the budget is
//! exceeded.
#![expect(clippy::print_stdout, reason = "the counts are what it is run for")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    convert::Infallible,
    env,
    future::{Ready, ready},
    hint::black_box,
    pin::pin,
    process::Command,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use http_body_util::Full;
use stockade_body::{BodyLayer, BodyRules, Profile, Rule};
use stockade_core::{
    client::ClientIp,
    context::{MatchedRoute, RequestContext},
};
use tower::{Layer, Service};

/// A deterministic allocator; glibc's takes different paths in each build.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The number of requests of the shorter run.
const REQUESTS: i64 = 20_000;

/// The budget in instructions for a chat: what it takes today, so that a step back shows.
const BUDGET: i64 = 2_400;

const CHAT: &str = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
const ROUTE: &str = "/v1/chat/completions";

const NO_OP: &str = "no-op layer";
const WHOLE: &str = "a body that is read and not looked into";
const JSON: &str = "JSON without rules";
const CHECKED: &str = "a chat";
const GENERAL: &str = "a chat that the short path leaves to the scanner";
const REFUSED: &str = "a chat with one rule broken";

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [name, requests] => case(name, requests.parse().unwrap()),
        // Without arguments, or with those that cargo adds.
        _ => report(),
    }
}

fn report() {
    let added = |name| (count(name) - count(NO_OP)) / REQUESTS;
    for name in [WHOLE, JSON, CHECKED, GENERAL, REFUSED] {
        println!("{name}: {} instructions", added(name));
    }
    let added = added(CHECKED);
    assert!(
        added <= BUDGET,
        "{added} instructions exceed the budget of {BUDGET}"
    );
}

/// The instructions of [`REQUESTS`] requests.
fn count(name: &str) -> i64 {
    let run = |requests: i64| -> i64 {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(env::current_exe().unwrap())
            .args([name, &requests.to_string()])
            .output()
            .expect("valgrind is installed");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {log}");
        let count = log.lines().find_map(|line| line.split_once("Collected :"));
        count.unwrap().1.trim().parse().unwrap()
    };
    run(2 * REQUESTS) - run(REQUESTS)
}

fn case(name: &str, requests: u64) {
    let check = |profile| {
        let rules = BodyRules::new().route(Method::POST, ROUTE, profile);
        BodyLayer::new(rules).layer(tower::service_fn(answer))
    };
    let (chat, models) = (Profile::openai_chat(), ["m"]);
    match name {
        NO_OP => send(requests, 200, tower::service_fn(answer)),
        WHOLE => send(requests, 200, check(Profile::bytes())),
        JSON => send(requests, 200, check(Profile::json())),
        CHECKED => send(requests, 200, check(chat.models(models))),
        GENERAL => {
            let role = Rule::one_of(["user"]);
            let chat = chat.models(models).rule("/messages/*/role", role);
            send(requests, 200, check(chat));
        }
        REFUSED => send(requests, 400, check(chat.max_prompt_chars(4))),
        name => panic!("there is no case {name:?}"),
    }
}

/// Answers as an axum handler without arguments does.
fn answer<B>(_: Request<B>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::from("ok"))))
}

/// Sends the chat as a server does: to a ready clone of the service, reading the response to
/// its end.
fn send<S, B>(requests: u64, status: u16, service: S)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body,
{
    let route = MatchedRoute::new(ROUTE);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..requests {
        let mut service = black_box(&service).clone();
        assert!(service.poll_ready(&mut cx).is_ready());
        let future = pin!(service.call(black_box(request(&route))));
        let Poll::Ready(Ok(response)) = future.poll(&mut cx) else {
            panic!("it waits for a body that is there");
        };
        assert_eq!(response.status(), status);
        let mut body = pin!(response.into_body());
        while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
            drop(black_box(frame));
        }
    }
}

/// The request as the router and the outer layers pass it on.
fn request(route: &MatchedRoute) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::from(CHAT));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = http::Uri::from_static(ROUTE);
    let headers = request.headers_mut();
    let json = HeaderValue::from_static("application/json");
    headers.insert("content-type", json);
    headers.insert("content-length", CHAT.len().into());
    headers.insert("host", HeaderValue::from_static("model.example"));
    let extensions = request.extensions_mut();
    let context = RequestContext::builder()
        .client(ClientIp::UnixSocket)
        .build();
    extensions.insert(context);
    extensions.insert(route.clone());
    request
}
