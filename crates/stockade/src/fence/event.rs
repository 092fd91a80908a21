//! What happens besides requests.

use std::{fmt, sync::Arc};

use stockade_abuse::AbuseEvent;

/// Something happened that whoever runs the fence wants to know.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FenceEvent {
    /// Somebody was banned, a deny-list was read, or could not be.
    Abuse(AbuseEvent),
    /// Another configuration was taken over.
    Reloaded,
    /// The store of limits is lost (`false`), or back (`true`). While it is lost, the
    /// failure policy decides.
    LimitStore {
        /// Whether it is there.
        up: bool,
    },
}

/// Who hears of it.
#[derive(Clone, Default)]
pub(super) struct Listeners(Vec<Arc<Listener>>);

type Listener = dyn Fn(&FenceEvent) + Send + Sync;

impl Listeners {
    pub(super) fn add(&mut self, listener: impl Fn(&FenceEvent) + Send + Sync + 'static) {
        self.0.push(Arc::new(listener));
    }

    pub(super) fn tell(&self, event: &FenceEvent) {
        for listener in &self.0 {
            listener(event);
        }
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}
