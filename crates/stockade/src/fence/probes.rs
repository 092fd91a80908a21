//! Probes: health checks, which are exempt from most guards.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::Method;
use stockade_core::{
    client::ClientBucket,
    clock::{Clock, SystemClock},
    guard::{Check, Guard, Head, NoWait},
    refusal::{Refusal, RefusalKind},
};
use stockade_rate_limit::{Algorithm, Quota, gcra};
use stockade_scope::ScopeGuard;

use crate::{Config, ConfigError, ProbesConfig};

/// The paths of probes. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct ProbePaths(Arc<[Box<str>]>);

impl ProbePaths {
    /// Selects the configured paths that are public routes: probes are not authenticated, so
    /// the exemption must not make a route public.
    pub(super) fn new(config: &ProbesConfig, scopes: &ScopeGuard) -> Result<Self, ConfigError> {
        let mut paths = Vec::new();
        for path in &config.paths {
            if scopes.is_public(&Method::GET, path) {
                paths.push(path.as_str().into());
            } else if !ProbesConfig::PATHS.contains(&path.as_str()) {
                let text = format!("{path:?} is not a public route");
                return Err(ConfigError::setting("probes.paths", text).help(
                    "add it to [[routes]] with methods = \"GET\" and access = \"public\", or \
                     remove it here",
                ));
            }
        }
        Ok(Self(paths.into()))
    }

    pub(super) fn contain(&self, path: &str) -> bool {
        self.0.iter().any(|probe| **probe == *path)
    }
}

/// Whether a request with this method can be a probe.
pub(super) fn is_probing(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Limits probes by address in a table of fixed size: addresses in the same slot share its
/// quota.
pub(super) struct ProbeLimit {
    quota: Quota,
    v6_length: u8,
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
    clock: SystemClock,
}

/// The size of the table; 32 KiB.
const SLOTS: usize = 4_096;

impl ProbeLimit {
    pub(super) fn new(config: &Config) -> Result<Self, ConfigError> {
        let quota = config.probes.limit;
        if quota.algorithm() != Algorithm::Gcra {
            return Err(
                ConfigError::setting("probes.limit", "sliding windows are not supported")
                    .help("for example \"600/minute burst 60\""),
            );
        }
        Ok(Self {
            quota,
            v6_length: config.client_ip.ipv6_prefix()?,
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
            clock: SystemClock::new(),
        })
    }

    fn take(&self, client: ClientBucket) -> Result<(), Refusal> {
        let slot = self.hasher.hash_one(client) as usize % SLOTS;
        let slot = &self.slots[slot];
        let now = self.clock.now().as_nanos();
        let mut state = slot.load(Ordering::Relaxed);
        loop {
            let (next, status) = gcra::take(state, &self.quota, now, 1);
            if !status.is_allowed() {
                let refusal = Refusal::new(
                    RefusalKind::RateLimited,
                    "too many health checks; retry after the time in Retry-After",
                );
                return Err(refusal.retry_after(status.retry_after()));
            }
            match slot.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(other) => state = other,
            }
        }
    }
}

impl Guard for ProbeLimit {
    const NAME: &'static str = "probe_limit";
    type Pass = ();
    type Hook = ();
    type Wait = NoWait;

    #[inline]
    fn check(&self, head: &Head) -> Check<(), Self::Wait> {
        if !head.is_probe() {
            return Check::Pass(());
        }
        let Some(client) = head.context().client() else {
            return Check::Refuse(Refusal::not_configured(
                "no client address: add a `ContextGuard` layer outside of the probe limit",
            ));
        };
        match self.take(client.bucket(self.v6_length)) {
            Ok(()) => Check::Pass(()),
            Err(refusal) => Check::Refuse(refusal),
        }
    }

    fn admit(&self, (): (), _head: &mut Head) {}
}

impl fmt::Debug for ProbeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ProbeLimit").field(&self.quota).finish()
    }
}
