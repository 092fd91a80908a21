//! One tamper-evident record a request, without secrets, as a tower layer.
//!
//! # Rules
//! 1. A request has **one record**, whatever becomes of it: it is written when the response
//!    body has ended, fails, or is dropped, when the handler panics, and when a layer inside
//!    refuses the request. `outcome` says which: `completed`, `failed`, `client_left`. An
//!    answer has also failed where its handler breaks it off after a head that promised
//!    success, and [says so](stockade_core::context::RequestContext::refuse).
//! 2. A record is **one line** of JSON. What a client chose is cut to a bound, and whatever a
//!    terminal would obey is escaped: controls, ANSI sequences, line and paragraph
//!    separators, marks of writing direction.
//! 3. **Nothing secret** is recorded: no query, no header but the `User-Agent` where that is
//!    asked for, no prompt, no image; of a prompt at most a keyed digest, where whoever reads
//!    bodies makes one ([`Demand::prompt_digest`](stockade_core::llm::ModelRequest)). Keys, tokens,
//!    passwords, cookies, e-mail addresses and data URLs are replaced in the texts that are.
//! 4. With a [`ChainKey`] the log is **tamper-evident**: each record has a number, and each
//!    batch ends in a seal over all of its bytes and the seal before (HMAC-SHA-256).
//!    [`Verifier`] finds what was altered, deleted, inserted or reordered.
//! 5. The log is **never in the way**: requests append to a bounded buffer, and a thread
//!    writes it. What happens where that does not suffice is a choice without a default
//!    ([`Overflow`]), and no record is lost in silence.
//! 6. A flood of refusals is **collapsed** ([`Coalesce`]): the bytes it writes a second are
//!    bounded, and the records say how many requests there were.
//!
//! # What a seal proves, and what it does not
//! - Whoever lacks the key cannot change, remove, add or reorder records between the first
//!   and the last seal unnoticed. A fault is found to a batch, and mostly to a line, by the
//!   numbers.
//! - A cut-off end is found by the signed head beside the log (`<path>.head`), which is
//!   rewritten with each sync, or each second. The next start also checks it, and its first
//!   record says what it found (`past`). Whoever can put an *older* log and the head of that
//!   moment in their place hides what came after: ship heads or records elsewhere if that
//!   is a threat.
//! - Files at the beginning may be gone, as rotation has it: [`Report::first_seq`] is over 1.
//! - Whoever has the key, or the machine while it runs, can write what they like from then on.
//!   A stolen key that was followed by another one ([`Journal::rotate_key`]) is of no use
//!   for records after that.
//! - What a process had not written when it was killed is gone: 10 milliseconds of records,
//!   unless [`JournalBuilder::linger`] says otherwise.
//!
//! # Knowing before deploying
//! - Put the layer right inside of [`ContextGuard`](stockade_core::context::ContextGuard) and outside
//!   of all else. Where there is no context it makes one, if a
//!   [`PeerAddr`](stockade_core::client::PeerAddr) is known.
//! - A timeout outside of the layer is `client_left`; one inside is what it answers.
//! - The layer wraps the request's body to count it, which costs an axum router a box a
//!   request. In a [`Chain`](stockade_core::guard::Chain) with a check that reads bodies anyway,
//!   [`AuditLayer::into_guards`] goes by what that one says.
//! - One process writes a file. Behind `logrotate`, use [`FileSink::external_rotation`];
//!   renaming loses nothing, and `copytruncate` loses what is written between the copy and
//!   the cut.
//! - [`AuditLog::flush`] before the process ends. Dropping the last journal waits for its
//!   thread, for five seconds at most.
//! - The ids of principals are recorded as they are, so that each can be told from every
//!   other, also where a token's subject is an e-mail address. Of an id of more than 128
//!   bytes, the beginning and a digest are recorded. What a client chose is redacted.
//!
//! # Examples
//! ```toml
//! [dependencies]
//! bytes = "1"
//! http = "1"
//! http-body-util = "0.1"
//! stockade-audit = "0.1"
//! stockade-core = "0.1"
//! tempfile = "3"
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//! tower = { version = "0.5", features = ["util"] }
//! ```
//!
//! One file, one record a request:
//!
//! ```
//! use std::{convert::Infallible, fs, net::SocketAddr, time::Duration};
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use stockade_audit::{AuditLayer, AuditLog, FileSink, Journal, Overflow};
//! use stockade_core::{client::PeerAddr, context::ContextGuard, guard::Guard};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let path = folder.path().join("audit.log");
//!     let sink = FileSink::open(&path)?;
//!     let log = AuditLog::new(Journal::builder(sink, Overflow::DropAndCount).start()?);
//!     let service = ServiceBuilder::new()
//!         .layer(ContextGuard::new().into_layer())
//!         .layer(AuditLayer::new(log.clone()))
//!         .service_fn(|_: Request<_>| async {
//!             Ok::<_, Infallible>(Response::new(Full::new(Bytes::from("hello"))))
//!         });
//!
//!     let peer = PeerAddr::from(SocketAddr::from(([203, 0, 113, 7], 4711)));
//!     let request = Request::get("/hello?token=secret").extension(peer);
//!     let response = service.oneshot(request.body(Full::<Bytes>::default())?).await?;
//!     response.into_body().collect().await?;
//!
//!     log.flush(Duration::from_secs(5))?;
//!     let text = fs::read_to_string(&path)?;
//!     assert!(text.contains(r#""path":"/hello""#) && text.contains(r#""outcome":"completed""#));
//!     assert!(!text.contains("secret"));
//!     Ok(())
//! }
//! ```
//!
//! Two views, a chain, and requests that are refused while the log cannot be written:
//!
//! ```
//! use std::{fs, io::BufReader, time::Duration};
//!
//! use stockade_audit::{
//!     AuditLog, ChainKey, EventKind, FileSink, Fsync, Journal, Overflow, Rotation, SecurityEvent,
//!     Verifier,
//! };
//!
//! fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let (app, audit) = (folder.path().join("app.log"), folder.path().join("audit.log"));
//!     let secret = [7; 32];
//!     let key = ChainKey::new("2026-01", secret)?;
//!     let app = FileSink::open(&app)?.rotation(Rotation::by_day().keep(30));
//!     let requests = Journal::builder(app, Overflow::DropAndCount).start()?;
//!     let events = Journal::builder(FileSink::open(&audit)?, Overflow::FailClosed)
//!         .chain(key.clone())
//!         .fsync(Fsync::EveryBatch)
//!         .start()?;
//!     let log = AuditLog::new(requests).security_events(events);
//!     log.event(SecurityEvent::new(EventKind::KeyRevoked).user("admin").subject("team-core"));
//!     log.flush(Duration::from_secs(5))?;
//!
//!     let verify = |text: &str| -> Result<_, Box<dyn std::error::Error>> {
//!         let head = fs::read_to_string(audit.with_extension("log.head"))?;
//!         let mut verifier = Verifier::new([key.clone()]).head(&head);
//!         verifier.read(BufReader::new(text.as_bytes()))?;
//!         Ok(verifier.finish())
//!     };
//!     let text = fs::read_to_string(&audit)?;
//!     assert!(verify(&text)?.is_intact());
//!     assert!(!verify(&text.replace("team-core", "team-cora"))?.is_intact());
//!     Ok(())
//! }
//! ```

mod body_counter;
mod chain;
mod escape;
mod event;
mod journal;
mod layer;
mod line;
mod log;
mod log_line;
mod overflow;
mod recent;
mod record;
mod record_builder;
mod recorder;
mod redact;
mod sink;
mod timestamp;
mod verify;

pub use body_counter::{BodyCounter, RequestBody};
pub use chain::{ChainKey, ChainKeyError, ChainKeyErrorKind};
pub use event::{EventKind, SecurityEvent};
pub use journal::{Coalesce, FlushError, Fsync, Journal, JournalBuilder, JournalStats};
pub use layer::{Audit, AuditGuards, AuditLayer, ResponseBody};
pub use log::AuditLog;
pub use log_line::LogLine;
pub use overflow::Overflow;
pub use record_builder::RecordBuilder;
pub use recorder::{Backpressure, Recorder};
#[cfg(all(unix, feature = "syslog"))]
pub use sink::SyslogSink;
pub use sink::{Batch, FileSink, Rotation, Sink, StoredLog, TracingSink, WriterSink, log_files};
pub use verify::{Fault, FaultKind, Report, Verifier};
