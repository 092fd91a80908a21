//! The policies of quotas, as values of `RateLimit-Policy`.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use http::{HeaderMap, HeaderValue};

use super::RATELIMIT_POLICY;

/// The policy of a single quota. It lives as long as the process, so that responses neither
/// format nor count references to it.
#[derive(Debug)]
pub(crate) struct StaticPolicy {
    value: HeaderValue,
    /// The name in quotation marks: `"ip"`.
    field: Box<str>,
}

/// By text and name.
type Policies = HashMap<[Box<str>; 2], &'static StaticPolicy>;

/// The highest number of static policies, since they are never freed.
const MAX_STATIC: usize = 1_024;

impl StaticPolicy {
    /// The policy with this value and name; `None` if there are too many different ones.
    pub(crate) fn new(value: &HeaderValue, field: &str) -> Option<&'static Self> {
        let text = value.to_str().ok()?;
        static POLICIES: LazyLock<Mutex<Policies>> = LazyLock::new(Mutex::default);
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

/// Adds a policy to a response, in a line of its own.
pub(crate) fn write_policy(headers: &mut HeaderMap, policy: &HeaderValue) {
    headers.append(RATELIMIT_POLICY, policy.clone());
}
