//! One tamper-evident record a request, without secrets, as a tower layer.

mod chain;
mod escape;
mod event;
mod exchange;
mod future;
mod journal;
mod layer;
mod line;
mod log;
mod log_line;
mod overflow;
mod record;
mod redact;
mod request_body;
mod response_body;
mod service;
mod sink;
mod timestamp;
mod verify;

pub use chain::{ChainKey, ChainKeyError, ChainKeyErrorKind};
pub use event::{EventKind, SecurityEvent};
pub use future::ResponseFuture;
pub use journal::{Collapse, FlushError, Fsync, Journal, JournalBuilder, JournalStats};
pub use layer::AuditLayer;
pub use log::AuditLog;
pub use log_line::LogLine;
pub use overflow::Overflow;
pub use request_body::RequestBody;
pub use response_body::ResponseBody;
pub use service::Audit;
#[cfg(all(unix, feature = "syslog"))]
pub use sink::SyslogSink;
pub use sink::{Batch, FileSink, Past, Rotation, Sink, TracingSink, WriterSink, log_files};
pub use verify::{Fault, FaultKind, Report, Verifier};
