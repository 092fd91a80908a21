//! Times the check of a chat request with a large image, relative to one copy of it and to the
//! usual chain: `serde_json::Value`, base64 decoding, reading the dimensions.
#![expect(clippy::print_stdout, reason = "the ratios are what it is run for")]
#![allow(clippy::unwrap_used, reason = "a benchmark may panic")]

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    io::Cursor,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use image::{ImageFormat, ImageReader, RgbImage};
use stockade_body::{BodyCheck, BodyLayer, BodyRules, CheckedBody, Profile};
use stockade_core::guard::{Bodies, Guarded};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, util::ServiceFn};

/// A measured operation and its name.
type Part<'a> = (&'static str, Box<dyn FnMut() + 'a>);
type Handler<B> = fn(Request<CheckedBody<B>>) -> Ready<Result<Response<Full<Bytes>>, Infallible>>;

/// A PNG of noise: 1.05 MB, and 1.40 MB as the body's base64.
fn body() -> Bytes {
    let mut state = 1_u32;
    let noise = |_, _| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let [red, green, blue, _] = state.rotate_left(11).to_be_bytes();
        image::Rgb([red, green, blue])
    };
    let mut png = Cursor::new(Vec::new());
    RgbImage::from_fn(592, 592, noise)
        .write_to(&mut png, ImageFormat::Png)
        .unwrap();
    let base64 = STANDARD.encode(png.into_inner());
    let body = format!(
        r#"{{"model":"tiny","max_tokens":256,"temperature":0.2,"stream":true,"messages":[{{"role":"system","content":"You see what is in pictures."}},{{"role":"user","content":[{{"type":"text","text":"What is in this picture?"}},{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{base64}"}}}}]}}]}}"#
    );
    body.into()
}

/// A body as it arrives from a connection.
struct Frames {
    frames: VecDeque<Bytes>,
    length: u64,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop_front().map(|frame| Ok(Frame::data(frame))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

fn check<B>(handler: Handler<B>) -> Guarded<ServiceFn<Handler<B>>, Bodies<BodyCheck>> {
    BodyLayer::new(BodyRules::new().route(Method::POST, "/", Profile::openai_chat()))
        .layer(tower::service_fn(handler))
}

fn request<B>(body: B) -> Request<B> {
    let request = Request::post("/").header("content-type", "application/json");
    request.body(body).unwrap()
}

/// Calls the layer with a body that is complete.
fn call<B>(
    runtime: &Runtime,
    service: &mut Guarded<ServiceFn<Handler<B>>, Bodies<BodyCheck>>,
    body: B,
) where
    B: Body<Data = Bytes, Error = Infallible> + Unpin,
{
    let Ok(response) = runtime.block_on(service.call(request(body)));
    assert_eq!(response.status(), 200);
}

fn usual_chain(body: &[u8]) -> (u32, u32) {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap();
    let url = value["messages"][1]["content"][1]["image_url"]["url"].as_str();
    let base64 = url.unwrap().split_once(',').unwrap().1;
    let image = STANDARD.decode(base64).unwrap();
    let reader = ImageReader::new(Cursor::new(image)).with_guessed_format();
    reader.unwrap().into_dimensions().unwrap()
}

fn bodies(criterion: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let body = body();
    let frames: Vec<Bytes> = body.chunks(16 << 10).map(Bytes::copy_from_slice).collect();
    let framed = || Frames {
        frames: frames.clone().into(),
        length: body.len() as u64,
    };
    let mut whole = check(|_| ready(Ok(Response::new(Full::default()))));
    let mut in_frames = check(|_| ready(Ok(Response::new(Full::default()))));

    let mut parts: [Part<'_>; 5] = [
        ("memcpy", Box::new(|| drop(black_box(body.to_vec())))),
        (
            "check",
            Box::new(|| call(&runtime, &mut whole, Full::new(body.clone()))),
        ),
        (
            "check, in frames of 16 KiB",
            Box::new(|| call(&runtime, &mut in_frames, framed())),
        ),
        (
            "usual chain",
            Box::new(|| _ = black_box(usual_chain(&body))),
        ),
        (
            "usual chain, in frames of 16 KiB",
            Box::new(|| _ = black_box(usual_chain(&frames.concat()))),
        ),
    ];

    let mut group = criterion.benchmark_group("a chat body of 1.4 MB");
    group
        .measurement_time(Duration::from_secs(2))
        .sample_size(30);
    for (name, part) in &mut parts {
        group.bench_function(*name, |bencher| bencher.iter(&mut *part));
    }
    group.finish();

    let medians = interleaved(&mut parts);
    for ((name, _), median) in parts.iter().zip(&medians) {
        let by = |other: Duration| median.as_secs_f64() / other.as_secs_f64();
        let usual = medians[if name.ends_with("KiB") { 4 } else { 3 }];
        println!(
            "{name}: {} µs, {:.2} of a memcpy, {:.3} of the usual chain",
            median.as_micros(),
            by(medians[0]),
            by(usual),
        );
    }
}

/// The median of each operation, in interleaved rounds.
fn interleaved(parts: &mut [Part<'_>]) -> Vec<Duration> {
    let mut times = vec![Vec::new(); parts.len()];
    for _ in 0..300 {
        for ((_, part), times) in parts.iter_mut().zip(&mut times) {
            let began = Instant::now();
            part();
            times.push(began.elapsed());
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    times.into_iter().map(median).collect()
}

criterion_group!(benches, bodies);
criterion_main!(benches);
