//! What a fence cannot do without: each promise by the cheapest means that we know.
//!
//! The sum of them is what budget 3 compares with. None of this is Stockade's own code.

use std::{
    cell::RefCell,
    collections::HashMap,
    hash::BuildHasher,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use governor::clock::{Clock, QuantaClock};
use http::{
    Extensions, HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE},
};
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256};
use stockade_benches::{CHAT, Stack, request};

/// The judge of the body, which also counts by itself.
pub(crate) const JSON: &str = "part: the body's JSON";
/// Calling a part costs as much as this; it is subtracted from each.
pub(crate) const NOTHING: &str = "part: nothing";

const KEYS: u32 = 1_000;

/// All of them, besides [`NOTHING`].
pub(crate) fn parts(key: &str) -> Vec<Stack> {
    let head = request(key).into_parts().0;
    let (clock, headers) = (QuantaClock::default(), head.headers.clone());
    vec![
        Stack::of("part: reading the clock", move || clock.now()),
        Stack::of("part: the header with the key", move || {
            headers.get(AUTHORIZATION).map(HeaderValue::len)
        }),
        digest(key),
        look_up(),
        scope(),
        Stack::of("part: limit by address", limit()),
        Stack::of("part: limit by key", limit()),
        bans(),
        body_headers(head.headers),
        Stack::of(JSON, || {
            serde_json::from_slice::<IgnoredAny>(CHAT.as_bytes())
        }),
        extension(head.extensions),
        response_headers(),
        record(),
    ]
}

/// The digest of the key, and its comparison in constant time.
fn digest(key: &str) -> Stack {
    let stored: [u8; 32] = Sha256::digest(key).into();
    let key = key.to_owned();
    Stack::of("part: SHA-256 of the key, compared", move || {
        let digest: [u8; 32] = Sha256::digest(&key).into();
        let differing = digest
            .iter()
            .zip(&stored)
            .fold(0, |all, (a, b)| all | (a ^ b));
        assert_eq!(differing, 0);
    })
}

/// One of a thousand keys, in a map that can be exchanged while it is read.
fn look_up() -> Stack {
    let digest = |number: u32| -> [u8; 32] { Sha256::digest(number.to_be_bytes()).into() };
    let keys: HashMap<_, _, RandomState> = (0..KEYS).map(|at| (digest(at), at)).collect();
    let keys = ArcSwap::from_pointee(keys);
    let known = digest(7);
    Stack::of("part: the key's entry", move || {
        keys.load().get(&known).copied()
    })
}

/// A set of scopes that has the one that is needed.
fn scope() -> Stack {
    let (granted, needed) = (AtomicU64::new(0b1011), AtomicU64::new(0b10));
    Stack::of("part: the scope", move || {
        let needed = needed.load(Ordering::Relaxed);
        granted.load(Ordering::Relaxed) & needed == needed
    })
}

/// One step of a GCRA: a client's place in a table, and an exchange of the time when it may
/// come again. The clock was read before.
fn limit() -> impl Fn() -> bool + Send {
    const PLACES: usize = 1 << 14;
    const COST: u64 = 1;
    let table: Vec<_> = (0..PLACES).map(|_| AtomicU64::new(0)).collect();
    let (hasher, client, now) = (RandomState::default(), 7_u32, AtomicU64::new(1_000));
    move || {
        let place = &table[hasher.hash_one(client) as usize % PLACES];
        let now = now.load(Ordering::Relaxed);
        let step = |due: u64| Some(due.max(now) + COST);
        place
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, step)
            .is_ok()
    }
}

/// While nobody is banned that is one load.
fn bans() -> Stack {
    let bans = AtomicUsize::new(0);
    Stack::of("part: bans", move || bans.load(Ordering::Acquire) == 0)
}

/// The type and the length that a body is said to have.
fn body_headers(headers: HeaderMap) -> Stack {
    Stack::of("part: the body's headers", move || {
        let length = headers.get(CONTENT_LENGTH)?.to_str().ok()?;
        let length: u64 = length.parse().ok()?;
        (headers.get(CONTENT_TYPE)? == "application/json").then_some(length)
    })
}

/// What handlers find who asks by.
fn extension(extensions: Extensions) -> Stack {
    let principal: Arc<str> = "team-0".into();
    let extensions = RefCell::new(extensions);
    Stack::of("part: an extension", move || {
        let value = Arc::clone(&principal);
        extensions.borrow_mut().insert(value).is_some()
    })
}

/// Two headers whose values are there already, beside those of any answer.
fn response_headers() -> Stack {
    let names = ["ratelimit-policy", "ratelimit"].map(HeaderName::from_static);
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("2"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    let values: [HeaderValue; 2] =
        ["100;w=60", "99;t=60"].map(|text| HeaderValue::from_str(text).expect("these are ASCII"));
    let headers = RefCell::new(headers);
    Stack::of("part: two headers of the answer", move || {
        let mut headers = headers.borrow_mut();
        for (name, value) in names.iter().zip(&values) {
            headers.insert(name, value.clone());
        }
    })
}

/// A line of the usual length, into a buffer that somebody else writes.
fn record() -> Stack {
    const FULL: usize = 60 * 1024;
    const BEGIN: &str = r#"{"timestamp":"2026-01-01T00:00:00.000000Z","level":"INFO","message":"request completed","request_id":""#;
    const MIDDLE: &str = r#"","method":"POST","path":"/v1/chat/completions","ip":"192.0.2.7","user":"team-0","status":200,"latency_ms":"#;
    let buffer = Mutex::new(Vec::<u8>::with_capacity(2 * FULL));
    let id = AtomicU64::new(0);
    Stack::of("part: a record", move || {
        let mut number = itoa::Buffer::new();
        let id = id.fetch_add(1, Ordering::Relaxed);
        let mut buffer = buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() > FULL {
            buffer.clear();
        }
        buffer.extend_from_slice(BEGIN.as_bytes());
        buffer.extend_from_slice(number.format(id).as_bytes());
        buffer.extend_from_slice(MIDDLE.as_bytes());
        buffer.extend_from_slice(number.format(id % 1_000).as_bytes());
        buffer.extend_from_slice(b"}\n");
    })
}
