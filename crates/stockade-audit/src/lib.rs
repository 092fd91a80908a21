//! A tower layer that writes one tamper-evident record per request, without secrets.
//!
//! ```sh
//! cargo add stockade-audit
//! ```
//!
//! # Rules
//! 1. Each request has **one record**. It is written when the response body has ended, fails
//!    or is dropped, when the handler panics, and when an inner layer refuses the request.
//!    `outcome` is `completed`, `failed` or `client_left`. A response has also failed if the
//!    handler aborts it after a successful status, and
//!    [reports that](stockade_core::context::RequestContext::refuse).
//! 2. A record is **one line** of JSON. Untrusted text is limited in length, and characters
//!    that a terminal interprets are escaped: controls, ANSI sequences, line and paragraph
//!    separators, bidirectional marks.
//! 3. Records contain **no secrets**: no query, no header except the `User-Agent` if enabled,
//!    no prompt, no image. A keyed digest of the prompt is recorded if the layer that reads
//!    bodies provides one ([`ModelRequest::prompt_digest`](stockade_core::llm::ModelRequest)).
//!    Keys, tokens, passwords, cookies, e-mail addresses and data URLs in recorded texts are
//!    redacted.
//! 4. With a [`ChainKey`] the log is **tamper-evident**: each record has a number, and each
//!    batch ends with a seal over all of its bytes and the previous seal (HMAC-SHA-256).
//!    [`Verifier`] detects altered, deleted, inserted and reordered records.
//! 5. The log does **not block requests**: they append to a bounded buffer that a thread
//!    writes. The policy for a full buffer has no default ([`Overflow`]), and lost records are
//!    counted in the log.
//! 6. Floods of refusals are **coalesced** ([`Coalesce`]): the number of records per second is
//!    bounded, and a record contains the number of the others.
//!
//! # Guarantees of the seals
//! - Without the key, records between the first and the last seal cannot be changed, removed,
//!   added or reordered unnoticed. A fault is located to a batch, and usually to a line by
//!   the record numbers.
//! - Truncation is detected by the signed head next to the log (`<path>.head`), which is
//!   rewritten with each sync, or every second. The next start verifies it, too, and its first
//!   record contains the finding (`past`). An attacker who restores an *older* log together
//!   with its head hides the later records: if that is a threat, copy heads or records to
//!   another machine.
//! - A holder of the key can replace a record by its digest ([`ChainKey::forget`]), for example at
//!   the request of the person it names: the log stays intact, and [`Report::forgotten`] counts
//!   such records. A key that was replaced forgets no later record.
//! - The first files may be missing because of rotation: [`Report::first_seq`] is over 1 then.
//! - An attacker with the key, or with control of the running machine, can write any record
//!   from then on. A stolen key that was replaced ([`Journal::rotate_key`]) cannot forge later
//!   records.
//! - A killed process loses the records that it has not written: 10 milliseconds of records,
//!   unless [`JournalBuilder::linger`] is set.
//!
//! # Deployment
//! - Put the layer directly inside of [`ContextLayer`](stockade_core::context::ContextLayer) and
//!   outside of all other layers. Without a context it creates one, if a
//!   [`PeerAddr`](stockade_core::client::PeerAddr) is known.
//! - A timeout outside of the layer is recorded as `client_left`; a timeout inside of it is
//!   recorded with its response.
//! - The layer wraps the request body to count its bytes, which costs one allocation per
//!   request with an axum router. In a [`Chain`](stockade_core::guard::Chain) with a guard that
//!   reads bodies, use [`Recorder::with_backpressure`], which uses the count of that guard.
//! - Only one process may write to a file. With `logrotate`, use
//!   [`FileSink::external_rotation`]; renaming loses no record, `copytruncate` loses those
//!   written between the copy and the truncation.
//! - Call [`AuditLog::flush`] before the process exits. Dropping the last journal waits for its
//!   thread, for five seconds at most.
//! - The ids of principals are recorded verbatim, so that they stay distinguishable, even if
//!   they are e-mail addresses of token subjects. An id of more than 128 bytes is recorded as
//!   its beginning and a digest. Text chosen by clients is redacted.
//!
//! # Features
//! None is enabled by default.
//!
//! | feature | provides |
//! |---|---|
//! | `syslog` | `SyslogSink`: records in the system log of Unix |
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
//! One record per request, in one file:
//!
//! ```
//! use std::{convert::Infallible, fs, net::SocketAddr, time::Duration};
//!
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::{BodyExt, Full};
//! use stockade_audit::{AuditLayer, AuditLog, FileSink, Journal, Overflow};
//! use stockade_core::{client::PeerAddr, context::ContextLayer};
//! use tower::{ServiceBuilder, ServiceExt};
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let folder = tempfile::tempdir()?;
//!     let path = folder.path().join("audit.log");
//!     let sink = FileSink::open(&path)?;
//!     let log = AuditLog::new(Journal::builder(sink, Overflow::DropAndCount).start()?);
//!     let service = ServiceBuilder::new()
//!         .layer(ContextLayer::new())
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
//! A second journal for security events, with a chain, which refuses requests while it cannot
//! be written:
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
//!
//! # See also
//! - [Audit records](https://github.com/stockade-rs/stockade/blob/main/docs/src/audit.md) in the
//!   book.
//! - [`stockade-sqlx`](https://docs.rs/stockade-sqlx) writes records to SQLite and PostgreSQL.
//! - [`stockade-cli`](https://docs.rs/stockade-cli) reads and verifies logs.
//! - [`stockade`](https://docs.rs/stockade) has all layers in the right order.
//! - Examples: [`axum-llm`](https://github.com/stockade-rs/stockade/tree/main/examples/axum-llm).

#![cfg_attr(docsrs, feature(doc_cfg))]

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
mod read;
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
pub use layer::{Audit, AuditLayer, ResponseBody};
pub use log::AuditLog;
pub use log_line::{LogLine, LogLineError};
pub use overflow::Overflow;
pub use read::{LineReader, LogFile, LogFollower, LogPosition, MAX_LINE_LEN, open_log};
pub use record_builder::RecordBuilder;
pub use recorder::{AuditGuards, Backpressure, Recorder};
#[cfg(all(unix, feature = "syslog"))]
pub use sink::SyslogSink;
pub use sink::{Batch, FileSink, Rotation, Sink, StoredLog, TracingSink, WriterSink, log_files};
pub use verify::{Fault, FaultKind, Report, Verifier};
