//! Open streams: their memory, and the CPU time of an event.

use std::{error::Error, time::Duration};

use futures_util::{StreamExt, TryStreamExt, future, stream};
use reqwest::Response;
use serde::Serialize;
use stockade_benches::Upstream;
use tokio::time;

use crate::{
    answers,
    case::{Kind, Size, body},
    gateways::Gateway,
};

/// More events than are read.
const EVENTS: usize = 8_192;
/// How many streams are being opened at a time.
const OPENING: usize = 32;
const OPEN_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause between the events of an idle stream, in milliseconds.
const IDLE_PAUSE: u16 = 10_000;

/// How many streams, with which load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Streams whose memory is measured.
    pub(crate) idle: usize,
    /// Streams whose events are measured.
    pub(crate) busy: usize,
    /// The pause between the events of a busy stream, in milliseconds.
    pub(crate) pause: u16,
    pub(crate) time: Duration,
}

/// The CPU time of an event, in microseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct EventCost {
    pub(crate) cpu: f64,
    /// The part of it outside the kernel.
    pub(crate) user: f64,
}

/// Opens streams, and reads the first event of each.
async fn open(
    gateway: &Gateway,
    count: usize,
    pause: u16,
) -> Result<Vec<Response>, Box<dyn Error>> {
    let body = body(Kind::Sse, Size::Small, EVENTS, pause);
    let opening = stream::repeat(body).take(count).map(async |body| {
        let mut response = answers::send(gateway, body).await?;
        match response.chunk().await? {
            Some(_) => Ok(response),
            None => Err(format!("{}: a stream has ended at once", gateway.name).into()),
        }
    });
    let opened = opening.buffer_unordered(OPENING).try_collect();
    let late = |_| format!("{}: {count} streams were not open in time", gateway.name);
    time::timeout(OPEN_TIMEOUT, opened).await.map_err(late)?
}

/// The memory of an open stream, in bytes. For a gateway that has just started: memory that it
/// keeps from earlier requests would hide that of the streams.
pub(crate) async fn memory(gateway: &Gateway, plan: Plan) -> Result<f64, Box<dyn Error>> {
    let before = gateway.usage()?.memory;
    let streams = open(gateway, plan.idle, IDLE_PAUSE).await?;
    let after = gateway.usage()?.memory;
    Ok((after as f64 - before as f64) / streams.len() as f64)
}

/// The CPU time of an event.
pub(crate) async fn event_cost(
    gateway: &Gateway,
    upstream: &Upstream,
    plan: Plan,
) -> Result<EventCost, Box<dyn Error>> {
    let streams = open(gateway, plan.busy, plan.pause).await?;
    let reading = future::try_join_all(streams.into_iter().map(async |mut stream| {
        while stream.chunk().await?.is_some() {}
        Err::<(), Box<dyn Error>>(format!("{}: a stream has ended early", gateway.name).into())
    }));
    let (events, usage) = (upstream.events(), gateway.usage()?);
    // It ends only with an error.
    if let Ok(ended) = time::timeout(plan.time, reading).await {
        ended?;
    }
    let events = (upstream.events() - events) as f64;
    let after = gateway.usage()?;
    // Less than a tick of the clock is unknown.
    let of_event = |time: Duration| match time.is_zero() {
        true => f64::NAN,
        false => time.as_secs_f64() * 1e6 / events,
    };
    Ok(EventCost {
        cpu: of_event(after.cpu() - usage.cpu()),
        user: of_event(after.user - usage.user),
    })
}
