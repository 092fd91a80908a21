//! The contract of every tower layer.

use std::{
    task::{Context, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use stockade_body::{BodyCheck, BodyLayer, BodyRules, CheckedBody, Profile};
use stockade_core::guard::{Bodies, Guarded, GuardedBody, ResponseFuture};
use stockade_testkit::{Probe, ProbeBody, ProbeError, Script};
use tower::{Layer, Service, ServiceExt, util::MapRequest};

use crate::support::slow;

type Unbody = fn(Request<CheckedBody<Full<Bytes>>>) -> Request<()>;
type Checked = Guarded<MapRequest<Probe, Unbody>, Bodies<BodyCheck>>;

fn check(probe: Probe) -> Checked {
    let unbody: Unbody = |request| request.map(drop);
    BodyLayer::new(BodyRules::new().fallback(Profile::bytes()))
        .layer(MapRequest::new(probe, unbody))
}

fn request() -> Request<Full<Bytes>> {
    Request::new(Full::from("body"))
}

async fn read(response: Response<GuardedBody<ProbeBody, Option<()>>>) -> Result<Bytes, ProbeError> {
    assert_eq!(response.status(), 200);
    let body = response.into_body().collect().await?;
    assert_eq!(body.trailers(), Some(&ProbeBody::trailers()));
    Ok(body.to_bytes())
}

#[test]
fn is_send_and_sync() {
    fn shared<T>()
    where
        T: Clone + Send + Sync,
    {
    }
    fn sent<T>()
    where
        T: Send,
    {
    }
    shared::<stockade_body::BodyLayer>();
    shared::<Guarded<(), Bodies<BodyCheck>>>();
    sent::<ResponseFuture<MapRequest<Probe, Unbody>, Bodies<BodyCheck>, Full<Bytes>>>();
    sent::<GuardedBody<ProbeBody, Option<()>>>();
    sent::<CheckedBody<Full<Bytes>>>();
}

#[tokio::test]
async fn calls_only_a_ready_service() {
    let probe = Probe::new(Script::Complete);
    let service = check(probe.clone());
    let (mut a, mut b) = (service.clone(), service);
    for _ in 0..3 {
        let one = async { a.ready().await.unwrap().call(request()).await };
        let two = async { b.ready().await.unwrap().call(request()).await };
        let (one, two) = tokio::join!(async { read(one.await.unwrap()).await }, async {
            read(two.await.unwrap()).await
        },);
        assert_eq!(one.unwrap(), ProbeBody::DATA.concat());
        assert_eq!(two.unwrap(), ProbeBody::DATA.concat());
    }
    assert_eq!(probe.in_flight(), 0);
}

#[tokio::test]
async fn passes_errors_through() {
    let error = check(Probe::new(Script::Fails))
        .oneshot(request())
        .await
        .err();
    assert_eq!(error, Some(ProbeError));
    let response = check(Probe::new(Script::BodyFails))
        .oneshot(request())
        .await;
    assert_eq!(read(response.unwrap()).await, Err(ProbeError));
}

// R11
#[tokio::test(start_paused = true)]
async fn releases_everything_on_drop() {
    let layer = BodyLayer::new(BodyRules::new().fallback(Profile::bytes()).total_memory(4));
    let mut finished = false;
    for polls in 0.. {
        let probe = Probe::new(Script::Complete);
        let inner = MapRequest::new(probe.clone(), |request: Request<_>| request.map(drop));
        let service = layer.layer(inner);
        let body = slow(Duration::from_millis(1), ["bo", "dy"].map(Bytes::from));
        let mut future = Box::pin(async {
            let response = service.oneshot(Request::new(Box::pin(body))).await.unwrap();
            response.into_body().collect().await.unwrap();
        });
        for _ in 0..polls {
            let mut context = Context::from_waker(Waker::noop());
            finished = future.as_mut().poll(&mut context).is_ready();
            if finished {
                break;
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        drop(future);
        assert_eq!(probe.in_flight(), 0, "{polls}");
        if finished {
            break;
        }
    }
    // All memory is released.
    let probe = Probe::new(Script::Complete);
    let inner = MapRequest::new(probe, |request: Request<_>| request.map(drop));
    let response = layer.layer(inner).oneshot(request()).await;
    assert_eq!(response.unwrap().status(), 200);
}
