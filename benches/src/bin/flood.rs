//! Whether a flood of bad keys slows a good one.
//!
//! A good key comes ten times a second, first alone and then during a flood of 500 bad
//! keys a second that only bcrypt at cost 12 can check. Prints the 50th and 99th
//! percentile of the good key's time, and the statuses of the bad ones. Takes two times
//! the seconds that it is given (30 by default).

use std::{
    collections::BTreeMap,
    convert::Infallible,
    error::Error,
    io::{self, Write},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use stockade_core::guard::Guard;
use stockade_key_auth::{GeneratedKey, KeyAuth, KeyHash, KeyRecord, MemoryKeyStore};
use tokio::{task::JoinSet, time};
use tower::{Layer, Service, ServiceExt, service_fn};

const BAD_A_SECOND: u32 = 500;
const GOOD_A_SECOND: u32 = 10;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let seconds: u32 = std::env::args()
        .nth(1)
        .map_or(Ok(30), |text| text.parse())?;
    let store = MemoryKeyStore::new();
    let good = GeneratedKey::new("sk", "good".parse()?)?;
    store.insert(KeyRecord::new(good.id().clone(), good.digest()))?;
    let hash: KeyHash = bcrypt::hash("an opaque key", 12)?.parse()?;
    store.insert(KeyRecord::new("opaque".parse()?, hash))?;
    let inner = service_fn(|_: Request<Full<Bytes>>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = KeyAuth::new(&store).into_layer().layer(inner);

    let mut out = io::stdout();
    let quiet = good_key(service.clone(), good.expose(), seconds).await;
    writeln!(out, "quiet: {}", percentiles(quiet))?;
    let flood = tokio::spawn(flood(service.clone(), seconds));
    let flooded = good_key(service, good.expose(), seconds).await;
    writeln!(out, "flood: {}", percentiles(flooded))?;
    for (status, count) in flood.await? {
        writeln!(out, "bad keys answered with {status}: {count}")?;
    }
    Ok(())
}

fn request(key: &str) -> Request<Full<Bytes>> {
    stockade_benches::request(key)
}

async fn good_key<S, B>(service: S, key: &str, seconds: u32) -> Vec<Duration>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
{
    let mut ticks = time::interval(Duration::from_secs(1) / GOOD_A_SECOND);
    let mut times = Vec::new();
    for _ in 0..seconds * GOOD_A_SECOND {
        let due = ticks.tick().await;
        // From when it was due: what waits for a thread is slow, too.
        let Ok(response) = service.clone().oneshot(request(key)).await;
        assert_eq!(
            response.status(),
            StatusCode::OK,
            "the good key was refused"
        );
        times.push(Instant::now() - due.into_std());
    }
    times
}

async fn flood<S, B>(service: S, seconds: u32) -> BTreeMap<u16, u32>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    let mut ticks = time::interval(Duration::from_secs(1) / BAD_A_SECOND);
    let mut answers = JoinSet::new();
    for number in 0..seconds * BAD_A_SECOND {
        ticks.tick().await;
        let service = service.clone();
        answers.spawn(async move {
            let Ok(response) = service.oneshot(request(&format!("bad-{number}"))).await;
            response.status().as_u16()
        });
    }
    let mut counts = BTreeMap::new();
    while let Some(Ok(status)) = answers.join_next().await {
        *counts.entry(status).or_default() += 1;
    }
    counts
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("p50 {:?}, p99 {:?}", at(50), at(99))
}
