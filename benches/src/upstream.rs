//! The model server behind a server under load: as fast as hyper allows, on a thread of its
//! own.
//!
//! 1. The body of a request is read to its end, and only its edges are inspected.
//! 2. Without `"stream":true`, the answer is one completion.
//! 3. With it, the answer is `max_tokens` events, the usage and `[DONE]`. Each event is a write of
//!    its own; between them, the upstream pauses for as many milliseconds as the field `seed` says.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Method, Request, Response, header::CONTENT_TYPE};
use http_body::Frame;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpListener,
    runtime, task,
    time::{self, MissedTickBehavior},
};

use crate::edges::Edges;

macro_rules! event {
    ($word:literal) => {
        concat!(
            r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","#,
            r#""created":1700000000,"model":"bench","choices":[{"index":0,"delta":{"content":" "#,
            $word,
            r#""},"logprobs":null,"finish_reason":null}]}"#,
            "\n\n"
        )
    };
}

const COMPLETION: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"The picture shows a field of noise, in which every pixel has a colour of its own."},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":18,"total_tokens":37}}"#;
const MODELS: &str = r#"{"object":"list","data":[{"id":"bench","object":"model"}]}"#;
/// Two in turns: LiteLLM ends a stream that repeats an event a hundred times.
const EVENTS: [&str; 2] = [event!("noise"), event!("grain")];
const LAST: &str = concat!(
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"#,
    r#""model":"bench","choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}"#,
    "\n\n",
    r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"#,
    r#""model":"bench","choices":[],"usage":{"prompt_tokens":19,"completion_tokens":18,"#,
    r#""total_tokens":37}}"#,
    "\n\ndata: [DONE]\n\n"
);

/// An upstream on loopback, until the process ends.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    events: Arc<AtomicU64>,
}

impl Upstream {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> io::Result<Self> {
        let (ready, address) = mpsc::channel();
        let events = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&events);
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
                // Without a receiver, the process is about to end.
                let _ = ready.send(listener.local_addr()?);
                accept(listener, counter).await
            })
        });
        let address = address.recv().map_err(io::Error::other)?;
        Ok(Self { address, events })
    }

    /// The number of events that were sent so far.
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }
}

async fn accept(listener: TcpListener, events: Arc<AtomicU64>) -> io::Result<()> {
    loop {
        let (connection, _) = listener.accept().await?;
        connection.set_nodelay(true)?;
        let events = Arc::clone(&events);
        let service = service_fn(move |request| answer(request, Arc::clone(&events)));
        // A connection fails when its client leaves.
        task::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service));
    }
}

type Events =
    std::pin::Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, Infallible>> + Send>>;

async fn answer(
    request: Request<Incoming>,
    counter: Arc<AtomicU64>,
) -> hyper::Result<Response<Either<Full<Bytes>, StreamBody<Events>>>> {
    let json = |text: &'static str| {
        let body = Either::Left(Full::new(Bytes::from_static(text.as_bytes())));
        typed(body, HeaderValue::from_static("application/json"))
    };
    if request.method() == Method::GET {
        return Ok(json(MODELS));
    }
    let mut edges = Edges::default();
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(bytes) = frame?.data_ref() {
            edges.push(bytes);
        }
    }
    if edges.value("stream") != Some("true") {
        return Ok(json(COMPLETION));
    }
    let number = |name| edges.value(name).and_then(|value| value.parse().ok());
    let count = number("max_tokens").unwrap_or(1);
    let pause = Duration::from_millis(number("seed").unwrap_or(0));
    let body = Either::Right(StreamBody::new(events(count, pause, counter)));
    Ok(typed(body, HeaderValue::from_static("text/event-stream")))
}

fn typed<B>(body: B, value: HeaderValue) -> Response<B> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, value);
    response
}

fn events(count: u64, pause: Duration, counter: Arc<AtomicU64>) -> Events {
    let timer = (!pause.is_zero()).then(|| {
        let mut timer = time::interval(pause);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer
    });
    Box::pin(stream::unfold((0, timer), move |(sent, mut timer)| {
        let counter = Arc::clone(&counter);
        async move {
            let text = match sent {
                sent if sent < count => EVENTS[usize::from(sent % 2 == 1)],
                sent if sent == count => LAST,
                _ => return None,
            };
            match &mut timer {
                Some(timer) => {
                    timer.tick().await;
                }
                // hyper sends what it has when a body is not ready.
                None => task::yield_now().await,
            }
            counter.fetch_add(1, Ordering::Relaxed);
            let frame = Frame::data(Bytes::from_static(text.as_bytes()));
            Some((Ok(frame), (sent + 1, timer)))
        }
    }))
}

/// The body of the answer to a request that does not stream.
pub fn completion() -> &'static str {
    COMPLETION
}

/// The body of a stream with this number of events.
pub fn stream_text(count: usize) -> String {
    let events = EVENTS.iter().cycle().take(count);
    events.chain([&LAST]).copied().collect()
}
