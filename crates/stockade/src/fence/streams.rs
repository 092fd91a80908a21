//! Streams that end when the access of their client does.
//!
//! One thread checks all open streams twice a second, and when keys change. It reads the keys, the
//! revoked tokens and the bans where requests read them, in the memory of this process, and counts
//! no token itself: a stream with more usage than its reservation extends it on its own task, since
//! the store may be remote.

mod access;
mod body;
mod ended;
mod final_event;
mod monitor;
mod service;

use std::{io, sync::Arc};

use http::Extensions;
use stockade_core::context::RequestContext;
use stockade_rate_limit::ReservedTokens;

pub(super) use access::Access;
pub(super) use body::StreamBody;
pub use ended::AccessEnded;
pub use final_event::FinalEvent;
pub(super) use service::StreamService;

use super::store::LimitsStore;
use monitor::Monitor;

/// The name under which records and metrics show that a stream was ended.
pub(super) const NAME: &str = "streams";

/// The open streams of a fence, and the thread that checks them. Clones share them; the thread
/// ends with the last one.
#[derive(Clone, Debug)]
pub(super) struct Streams(Arc<Monitor>);

impl Streams {
    /// Starts the thread.
    pub(super) fn start(access: Access, cut: bool) -> io::Result<Self> {
        Monitor::start(access, cut).map(|monitor| Self(Arc::new(monitor)))
    }

    /// Watches the access of a request with these extensions.
    pub(super) fn access_ended(&self, request: &Extensions) -> AccessEnded {
        AccessEnded::new(self, Watched::of(request))
    }

    /// Whether streams that begin now are ended.
    pub(super) fn is_enabled(&self) -> bool {
        self.0.is_enabled()
    }

    pub(super) fn set_enabled(&self, enabled: bool) {
        self.0.set_enabled(enabled);
    }

    /// The number of open streams.
    pub(super) fn count(&self) -> usize {
        self.0.count()
    }

    /// Returns a function that checks all streams now, and does not keep the thread running.
    pub(super) fn checks(&self) -> impl Fn() + Send + use<> {
        let monitor = Arc::downgrade(&self.0);
        move || {
            if let Some(monitor) = monitor.upgrade() {
                monitor.check_now();
            }
        }
    }
}

/// What is known about the request of a stream.
#[derive(Clone, Debug)]
struct Watched {
    context: RequestContext,
    /// The reserved tokens, if they are counted.
    reserved: Option<ReservedTokens<LimitsStore>>,
}

impl Watched {
    /// Reads the extensions of a request that a fence has admitted.
    fn of(extensions: &Extensions) -> Option<Self> {
        Some(Self {
            context: RequestContext::of(extensions)?.clone(),
            reserved: extensions.get().cloned(),
        })
    }
}

#[cfg(test)]
mod tests;
