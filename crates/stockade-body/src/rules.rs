//! Assigns body profiles to routes, with limits on reading.

use std::{
    collections::HashMap,
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use foldhash::fast::RandomState;
use http::Method;
use stockade_core::guard::Head;

use crate::{Profile, PromptKey, profile::BodyFormat, read_timeout::ReadTimeout};

const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Which body each route accepts, and the limits on reading bodies.
///
/// A route is a method and the pattern that the router matched, taken from
/// [`MatchedRoute`](stockade_core::context::MatchedRoute); without one, the exact request
/// path. Routes without a profile accept no body, unless a [`fallback`](Self::fallback) is
/// set.
///
/// ```
/// use http::Method;
/// use stockade_body::{BodyLayer, BodyRules, Profile};
///
/// let rules = BodyRules::new()
///     .route(Method::POST, "/v1/chat/completions", Profile::openai_chat())
///     .route(Method::POST, "/v1/images", Profile::image().max_bytes(5 << 20));
/// let layer = BodyLayer::new(rules);
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct BodyRules {
    routes: HashMap<Box<str>, Methods, RandomState>,
    fallback: Arc<Profile>,
    max_bytes: u64,
    read_timeout: ReadTimeout,
    total_memory: usize,
    memory_per_client: Option<usize>,
    validation_threads: Option<NonZeroUsize>,
    prompt_key: Option<PromptKey>,
}

/// The methods of one pattern; few, so a linear search is fastest.
type Methods = Vec<(Method, Arc<Profile>)>;

impl Default for BodyRules {
    fn default() -> Self {
        Self::new()
    }
}

impl BodyRules {
    /// Creates rules under which no route accepts a body.
    pub fn new() -> Self {
        Self {
            routes: HashMap::default(),
            fallback: Arc::new(Profile::empty()),
            max_bytes: 20 << 20,
            read_timeout: ReadTimeout {
                deadline: Duration::from_secs(60),
                min_rate: NonZeroU32::new(1_024),
                grace: Duration::from_secs(10),
            },
            total_memory: 512 << 20,
            memory_per_client: None,
            validation_threads: None,
            prompt_key: None,
        }
    }

    /// Sets the body profile of a route, replacing an earlier one.
    pub fn route(mut self, method: Method, pattern: impl Into<Box<str>>, body: Profile) -> Self {
        let methods = self.routes.entry(pattern.into()).or_default();
        methods.retain(|(other, _)| *other != method);
        methods.push((method, Arc::new(body)));
        self
    }

    /// Sets the profile of all other routes. Default: [`Profile::empty`].
    pub fn fallback(mut self, body: Profile) -> Self {
        self.fallback = Arc::new(body);
        self
    }

    /// Sets the maximum body size where the profile sets none. Default: 20 MiB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the deadline for reading a body, at most one year. Default: 60 seconds.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.read_timeout.deadline = deadline.min(YEAR);
        self
    }

    /// Sets the minimum average rate after a grace period; `None` disables it. Default: 1,024
    /// bytes per second after 10 seconds.
    pub fn min_rate(mut self, bytes_per_second: Option<NonZeroU32>, grace: Duration) -> Self {
        self.read_timeout.min_rate = bytes_per_second;
        self.read_timeout.grace = grace;
        self
    }

    /// Sets the maximum memory of all bodies together, from reading until the handler drops
    /// them. Streamed bodies do not count. Default: 512 MiB.
    ///
    /// Bodies of at most 4 KiB (less for totals below 256 MiB) that arrive complete with their
    /// head, in one frame, do not count either: they are slices of the connection's read
    /// buffer. While the total is used up, they are refused like others.
    pub fn total_memory(mut self, bytes: usize) -> Self {
        self.total_memory = bytes;
        self
    }

    /// Sets the share of [`total_memory`](Self::total_memory) for the bodies of one principal,
    /// or of one client address if no principal is known. It is never less than one body of
    /// the maximum size. Default: a quarter.
    ///
    /// Requests over the share are refused with 429 `BODY_MEMORY_LIMIT`. Bodies up to 64 KiB
    /// that arrive with their head do not count. If neither principal nor client is known,
    /// only the total applies.
    pub fn memory_per_client(mut self, bytes: usize) -> Self {
        self.memory_per_client = Some(bytes);
        self
    }

    /// Sets how many long validations run at a time, each on a blocking thread. Queued bodies
    /// keep their memory. Default: the number of cores.
    pub fn validation_threads(mut self, bodies: NonZeroUsize) -> Self {
        self.validation_threads = Some(bodies);
        self
    }

    /// Digests each prompt with this key, so that records can tell equal prompts without
    /// holding any:
    /// [`ModelRequest::prompt_digest`](stockade_core::llm::ModelRequest::prompt_digest).
    ///
    /// The digest covers the texts counted by [`Profile::max_prompt_chars`], unescaped and in
    /// order; no images and no roles.
    pub fn digest_prompts(mut self, key: PromptKey) -> Self {
        self.prompt_key = Some(key);
        self
    }

    /// Returns the profile of a request; `HEAD` uses that of `GET`.
    pub(crate) fn profile(&self, head: &Head) -> &Arc<Profile> {
        let route = match head.context().route() {
            Some(route) => route.as_str(),
            None => head.uri.path(),
        };
        let Some(methods) = self.routes.get(route) else {
            return &self.fallback;
        };
        let of = |method: &Method| methods.iter().find(|(other, _)| other == method);
        match of(&head.method) {
            None if head.method == Method::HEAD => of(&Method::GET),
            found => found,
        }
        .map_or(&self.fallback, |(_, profile)| profile)
    }

    pub(crate) fn limit(&self, profile: &Profile) -> u64 {
        profile.max_bytes.unwrap_or(self.max_bytes)
    }

    pub(crate) fn read_timeout(&self) -> ReadTimeout {
        self.read_timeout
    }

    pub(crate) fn memory(&self) -> usize {
        self.total_memory
    }

    pub(crate) fn memory_per_owner(&self) -> usize {
        let profiles = self.routes.values().flatten().map(|(_, profile)| profile);
        let profiles = profiles.chain([&self.fallback]);
        let kept = profiles.filter(|profile| profile.format != BodyFormat::Streamed);
        let largest = kept.map(|profile| self.limit(profile)).max();
        let largest = usize::try_from(largest.unwrap_or(0)).unwrap_or(usize::MAX);
        let part = self.memory_per_client.unwrap_or(self.total_memory / 4);
        part.max(largest)
    }

    pub(crate) fn prompt_key(&self) -> Option<&PromptKey> {
        self.prompt_key.as_ref()
    }

    pub(crate) fn max_validation_threads(&self) -> Option<NonZeroUsize> {
        self.validation_threads
    }
}
