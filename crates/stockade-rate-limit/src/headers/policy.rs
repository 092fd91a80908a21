//! The policies of quotas, as values of `RateLimit-Policy`.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue, header::Entry};

use super::{RATELIMIT_POLICY, joined};

/// The policy of a single quota. It lives as long as the process, so that responses neither
/// format nor count references to it.
#[derive(Debug)]
pub(crate) struct StaticPolicy {
    value: HeaderValue,
    /// The name in quotation marks: `"ip"`.
    field: Box<str>,
}

/// The highest number of static policies, since they are never freed.
const MAX_STATIC: usize = 1_024;

impl StaticPolicy {
    /// The policy with this value and name; `None` if there are too many different ones.
    pub(crate) fn new(value: &HeaderValue, field: &str) -> Option<&'static Self> {
        let text = value.to_str().ok()?;
        static POLICIES: LazyLock<Mutex<HashMap<[Box<str>; 2], &'static StaticPolicy>>> =
            LazyLock::new(Mutex::default);
        let mut policies = POLICIES.lock().unwrap_or_else(PoisonError::into_inner);
        let key = [text.into(), field.into()];
        if let Some(policy) = policies.get(&key) {
            return Some(policy);
        }
        if policies.len() >= MAX_STATIC {
            return None;
        }
        let policy: &'static Self = Box::leak(Box::new(Self {
            value: HeaderValue::from_static(Box::leak(Box::from(text))),
            field: field.into(),
        }));
        policies.insert(key, policy);
        Some(policy)
    }

    pub(crate) fn field(&self) -> &str {
        &self.field
    }

    /// Adds the policy to a response.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        write_policy(headers, &self.value);
    }
}

/// The same value, without a count of references if there is room.
pub(crate) fn static_value(value: HeaderValue) -> HeaderValue {
    match StaticPolicy::new(&value, "") {
        Some(policy) => policy.value.clone(),
        None => value,
    }
}

/// Adds a policy to a response, in one line with those of inner layers.
pub(crate) fn write_policy(headers: &mut HeaderMap, policy: &HeaderValue) {
    match headers.entry(RATELIMIT_POLICY) {
        Entry::Vacant(entry) => {
            entry.insert(policy.clone());
        }
        Entry::Occupied(mut entry) => {
            let joined = JOINED.with_borrow_mut(|joined| joined.of(entry.get(), policy));
            *entry.get_mut() = joined;
        }
    }
}

thread_local! {
    static JOINED: RefCell<JoinedPolicies> = const {
        RefCell::new(JoinedPolicies { last: [const { None }; 4], next: 0 })
    };
}

/// The last policies that were joined: most responses have the same.
struct JoinedPolicies {
    last: [Option<Joined>; 4],
    next: usize,
}

struct Joined {
    inner: HeaderValue,
    outer: HeaderValue,
    both: HeaderValue,
}

impl JoinedPolicies {
    fn of(&mut self, inner: &HeaderValue, outer: &HeaderValue) -> HeaderValue {
        let mut known = self.last.iter().flatten();
        if let Some(known) = known.find(|known| known.inner == inner && known.outer == outer) {
            return known.both.clone();
        }
        let both = joined(inner, outer.as_bytes());
        let next = self.next;
        self.last[next] = Some(Joined {
            inner: inner.clone(),
            outer: outer.clone(),
            both: both.clone(),
        });
        self.next = (next + 1) % self.last.len();
        both
    }
}
