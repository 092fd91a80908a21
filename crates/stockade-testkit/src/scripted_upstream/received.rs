//! What an upstream received.

use std::{
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Instant,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri, Version, request::Parts};

/// A request that an upstream received.
#[derive(Clone, Debug)]
pub struct ReceivedRequest {
    /// The method.
    pub method: Method,
    /// The request target.
    pub uri: Uri,
    /// The version.
    pub version: Version,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// When the client left before the end of the answer.
    pub client_left: Option<Instant>,
}

/// A request, and when its client left.
#[derive(Debug)]
pub(super) struct Record {
    head: Parts,
    body: Mutex<Bytes>,
    client_left: OnceLock<Instant>,
}

impl Record {
    pub(super) fn new(head: Parts) -> Arc<Self> {
        Arc::new(Self {
            head,
            body: Mutex::default(),
            client_left: OnceLock::new(),
        })
    }

    pub(super) fn path(&self) -> &str {
        self.head.uri.path()
    }

    pub(super) fn set_body(&self, body: Bytes) {
        *self.body.lock().unwrap_or_else(PoisonError::into_inner) = body;
    }

    pub(super) fn request(&self) -> ReceivedRequest {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner);
        ReceivedRequest {
            method: self.head.method.clone(),
            uri: self.head.uri.clone(),
            version: self.head.version,
            headers: self.head.headers.clone(),
            body: body.clone(),
            client_left: self.client_left.get().copied(),
        }
    }
}

/// Records that the client left when it is dropped before the end of the answer.
pub(super) struct Attention(Option<Arc<Record>>);

impl Attention {
    pub(super) fn new(record: Arc<Record>) -> Self {
        Self(Some(record))
    }

    /// The answer has ended.
    pub(super) fn end(&mut self) {
        self.0 = None;
    }
}

impl Drop for Attention {
    fn drop(&mut self) {
        if let Some(record) = &self.0 {
            record.client_left.get_or_init(Instant::now);
        }
    }
}
