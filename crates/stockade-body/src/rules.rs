//! Which body a route takes, and how it may come in.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    sync::Arc,
    time::Duration,
};

use http::Method;
use stockade_core::guard::{Bodies, Head};

use crate::{
    BodyCheck, BodyCheckLayer, Profile, PromptKey, name_table::NameTable, profile::BodyFormat,
    read_timeout::ReadTimeout,
};

/// Which body each route takes, and how bodies may come in.
///
/// A route is a method and the pattern that the router matched, where it left a
/// [`MatchedRoute`](stockade_core::context::MatchedRoute); without one it is the path as it was
/// sent, byte for byte. What no rule
/// is for takes no body, unless [`fallback`](Self::fallback) says so.
///
/// ```
/// use http::Method;
/// use stockade_body::{BodyRules, Profile};
///
/// let layer = BodyRules::new()
///     .route(Method::POST, "/v1/chat/completions", Profile::openai_chat())
///     .route(Method::POST, "/v1/images", Profile::image().max_bytes(5 << 20))
///     .into_layer();
/// # let _ = layer;
/// ```
#[derive(Clone, Debug)]
pub struct BodyRules {
    patterns: NameTable,
    /// Those of each pattern, in the order of the patterns.
    methods: Vec<Methods>,
    fallback: Arc<Profile>,
    max_bytes: u64,
    read_timeout: ReadTimeout,
    total_memory: usize,
    memory_per_client: Option<usize>,
    validation_threads: Option<NonZeroUsize>,
    prompt_key: Option<PromptKey>,
}

/// The methods of one pattern; there are few, so they are searched in a row.
type Methods = Vec<(Method, Arc<Profile>)>;

impl Default for BodyRules {
    fn default() -> Self {
        Self::new()
    }
}

impl BodyRules {
    /// No route takes a body yet.
    pub fn new() -> Self {
        Self {
            patterns: NameTable::default(),
            methods: Vec::new(),
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

    /// What the bodies of a route's requests are; a second rule for it replaces the first.
    pub fn route(mut self, method: Method, pattern: impl Into<Box<str>>, body: Profile) -> Self {
        let pattern = pattern.into();
        let number = self.patterns.find(pattern.as_bytes()).unwrap_or_else(|| {
            self.patterns.add(&pattern);
            self.methods.push(Methods::new());
            self.methods.len() as u32 - 1
        });
        let methods = &mut self.methods[number as usize];
        methods.retain(|(other, _)| *other != method);
        methods.push((method, Arc::new(body)));
        self
    }

    /// What the bodies of requests to all other routes are; [`Profile::empty`] unless it is
    /// set.
    pub fn fallback(mut self, body: Profile) -> Self {
        self.fallback = Arc::new(body);
        self
    }

    /// The most bytes of a body whose profile sets no limit; 20 MiB unless it is set.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How long the whole of a body may take to come in, a year at most; 60 seconds unless
    /// it is set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.read_timeout.deadline = deadline.min(Duration::from_hours(365 * 24));
        self
    }

    /// How many bytes a second must come in on average, once the grace is over; 1,024 after
    /// 10 seconds unless it is set, and `None` asks for none.
    pub fn min_rate(mut self, bytes_per_second: Option<NonZeroU32>, grace: Duration) -> Self {
        self.read_timeout.min_rate = bytes_per_second;
        self.read_timeout.grace = grace;
        self
    }

    /// The most bytes that all bodies together may take while they are read, and for as
    /// long as a handler keeps them; 512 MiB unless it is set. Streamed bodies take none.
    pub fn total_memory(mut self, bytes: usize) -> Self {
        self.total_memory = bytes;
        self
    }

    /// The most bytes of [`total_memory`](Self::total_memory) that the bodies of one principal
    /// may take, or those of one client address where no principal is known; a quarter unless
    /// it is set. Never less than one body of the largest size.
    ///
    /// More is a 429 `BODY_MEMORY_LIMIT`. Bodies of at most 64 KiB that are complete when
    /// their request arrives do not count. Where neither principal nor client is known, only
    /// the total bounds.
    pub fn memory_per_client(mut self, bytes: usize) -> Self {
        self.memory_per_client = Some(bytes);
        self
    }

    /// How many bodies that take long to judge are judged at a time, each on a thread for
    /// blocking work; as many as there are cores unless it is set. Those that wait hold
    /// their memory.
    pub fn validation_threads(mut self, bodies: NonZeroUsize) -> Self {
        self.validation_threads = Some(bodies);
        self
    }

    /// Digests each prompt under this key, so that records can tell equal prompts from others
    /// without holding any: [`Demand::prompt_digest`](stockade_core::llm::ModelRequest::prompt_digest).
    ///
    /// The digest is of the texts that [`Profile::max_prompt_chars`] counts, each without its
    /// escapes, in their order. Images are no part of it, and neither are roles.
    pub fn digest_prompts(mut self, key: PromptKey) -> Self {
        self.prompt_key = Some(key);
        self
    }

    /// The guard that checks bodies by these rules, for a
    /// [`Chain`](stockade_core::guard::Chain) or a
    /// [`GuardLayer::with_responder`](stockade_core::guard::GuardLayer::with_responder).
    pub fn into_guard(self) -> Bodies<BodyCheck> {
        Bodies::new(BodyCheck::NAME, BodyCheck::new(self))
    }

    /// The layer that checks bodies by these rules.
    pub fn into_layer(self) -> BodyCheckLayer {
        self.into_guard().into_layer()
    }

    /// The profile for a request; `HEAD` has that of `GET`.
    pub(crate) fn profile(&self, head: &Head) -> &Arc<Profile> {
        let route = match head.route() {
            Some(route) => route.as_str(),
            None => head.uri.path(),
        };
        let Some(number) = self.patterns.find(route.as_bytes()) else {
            return &self.fallback;
        };
        let methods = &self.methods[number as usize];
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
        let profiles = self.methods.iter().flatten().map(|(_, profile)| profile);
        let profiles = profiles.chain([&self.fallback]);
        let kept = profiles.filter(|profile| profile.form != BodyFormat::Streamed);
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
