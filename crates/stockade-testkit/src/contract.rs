//! The contract that every guard and every chain of guards keeps.
//!
//! Each probe takes a layer and a function that makes requests which the guard allows. A
//! probe panics if the contract is broken.

use std::{future::Future, pin::pin, task::Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use stockade_core::guard::{GuardLayer, GuardedBody, RunGuards, TakeReady};
use tower::{Layer, Service, ServiceExt};

use crate::{Probe, ProbeBody, ProbeError, Script};

/// Runs all probes.
///
/// # Panics
/// Panics if the contract is broken.
pub async fn uphold<G, F>(layer: &GuardLayer<G>, passing: F)
where
    G: RunGuards<(), Body = ()>,
    G::Carried: Send,
    G::Wait: Send + TakeReady<Probe>,
    F: Fn() -> Request<()>,
{
    is_shareable(layer);
    keeps_readiness(layer, &passing).await;
    is_drop_safe(layer, &passing).await;
    passes_bodies_through(layer, &passing).await;
    passes_errors_through(layer, &passing).await;
}

/// Checks that the layer, its service, its future and its body are `Send`, and that layer and
/// service are `Clone` and `Sync`.
pub fn is_shareable<G>(layer: &GuardLayer<G>)
where
    G: RunGuards<(), Body = ()>,
    G::Carried: Send,
    G::Wait: Send + TakeReady<Probe>,
{
    fn shared<T>(_: &T)
    where
        T: Clone + Send + Sync,
    {
    }
    fn sent<T>()
    where
        T: Send,
    {
    }
    fn sent_future<S>(_: &S)
    where
        S: Service<Request<()>>,
        S::Future: Send,
    {
        sent::<S::Future>();
    }
    let service = layer.layer(Probe::new(Script::Complete));
    shared(layer);
    shared(&service);
    sent_future(&service);
    sent::<GuardedBody<ProbeBody, G::Carried>>();
}

/// Checks that only instances that were polled ready are called, also when several requests
/// compete for one slot, and that the slot is released.
pub async fn keeps_readiness<G>(layer: &GuardLayer<G>, passing: impl Fn() -> Request<()>)
where
    G: RunGuards<(), Body = ()>,
    G::Wait: TakeReady<Probe>,
{
    let probe = Probe::new(Script::Complete);
    let mut service = layer.layer(probe.clone());
    for _ in 0..3 {
        let response = service.ready().await.expect("ready").call(passing()).await;
        read(response.expect("a response")).await.expect("a body");
    }
    let (mut a, mut b) = (service.clone(), service);
    let one = async { a.ready().await.expect("ready").call(passing()).await };
    let two = async { b.ready().await.expect("ready").call(passing()).await };
    let (one, two) = tokio::join!(one, two);
    read(one.expect("a response")).await.expect("a body");
    read(two.expect("a response")).await.expect("a body");
    assert_eq!(
        probe.in_flight(),
        0,
        "the inner service still has a request in flight"
    );
}

/// Checks that dropping the future or the body after any number of polls releases everything
/// that the request held, and that the next request passes.
pub async fn is_drop_safe<G>(layer: &GuardLayer<G>, passing: impl Fn() -> Request<()>)
where
    G: RunGuards<(), Body = ()>,
    G::Wait: TakeReady<Probe>,
{
    for polls in 0.. {
        let probe = Probe::new(Script::Complete);
        let service = layer.layer(probe.clone());
        let request = async {
            let response = service.clone().oneshot(passing()).await;
            read(response.expect("a response")).await
        };
        let finished = poll_at_most(request, polls).await;
        assert_eq!(
            probe.in_flight(),
            0,
            "dropped after {polls} polls, the request is still in flight"
        );

        let response = service.oneshot(passing()).await.expect("a response");
        read(response).await.expect("a body");
        if finished {
            return;
        }
    }
}

/// Checks that data, trailers and body errors of the inner service arrive unchanged.
pub async fn passes_bodies_through<G>(layer: &GuardLayer<G>, passing: impl Fn() -> Request<()>)
where
    G: RunGuards<(), Body = ()>,
    G::Wait: TakeReady<Probe>,
{
    let service = layer.layer(Probe::new(Script::Complete));
    let response = service.oneshot(passing()).await.expect("a response");
    let (data, trailers) = read(response).await.expect("a body");
    assert_eq!(data, ProbeBody::DATA.concat(), "the data was changed");
    assert_eq!(
        trailers,
        Some(ProbeBody::trailers()),
        "the trailers were changed"
    );

    let service = layer.layer(Probe::new(Script::BodyFails));
    let response = service.oneshot(passing()).await.expect("a response");
    assert_eq!(
        read(response).await,
        Err(ProbeError),
        "the body's error was changed"
    );
}

/// Checks that an error of the inner service arrives unchanged.
pub async fn passes_errors_through<G>(layer: &GuardLayer<G>, passing: impl Fn() -> Request<()>)
where
    G: RunGuards<(), Body = ()>,
    G::Wait: TakeReady<Probe>,
{
    let service = layer.layer(Probe::new(Script::Fails));
    let error = service.oneshot(passing()).await.err();
    assert_eq!(error, Some(ProbeError), "the inner error was changed");
}

async fn read<B>(response: Response<B>) -> Result<(Bytes, Option<http::HeaderMap>), B::Error>
where
    B: http_body::Body<Data = Bytes>,
{
    assert_eq!(
        response.status(),
        200,
        "the guard refused a request that should pass"
    );
    let body = response.into_body().collect().await?;
    let trailers = body.trailers().cloned();
    Ok((body.to_bytes(), trailers))
}

/// Polls a future at most `polls` times and returns whether it finished.
async fn poll_at_most<F>(future: F, polls: usize) -> bool
where
    F: Future,
{
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|cx| {
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(_) => Poll::Ready(true),
            Poll::Pending if left == 0 => Poll::Ready(false),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
