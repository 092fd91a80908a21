//! The responses of handlers, as types that say their status.

use std::marker::PhantomData;

use axum::response::{IntoResponse, Response};
use http::{
    HeaderValue, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, SET_COOKIE},
};
use serde::Serialize;

/// The JSON of a `T`, which can be stored for repeated requests.
#[derive(Debug)]
pub(super) struct Answer<T, const STATUS: u16> {
    text: String,
    tag: Option<String>,
    of: PhantomData<fn() -> T>,
}

/// The response to a creation.
pub(super) type Created<T> = Answer<T, 201>;

/// The response to a change.
pub(super) type Changed<T> = Answer<T, 200>;

/// The response to an order that is not complete yet.
#[derive(Debug)]
pub(super) struct Accepted;

/// A response that sets the cookie of a session.
#[derive(Debug)]
pub(super) struct WithCookie<R> {
    pub(super) cookie: HeaderValue,
    pub(super) response: R,
}

/// A response that browsers store as a file.
#[derive(Debug)]
pub(super) struct Attachment<R> {
    pub(super) disposition: &'static str,
    pub(super) response: R,
}

impl<T, const STATUS: u16> Answer<T, STATUS> {
    pub(super) fn new(item: &T) -> Self
    where
        T: Serialize,
    {
        let text = serde_json::to_string(item);
        Self::stored(text.expect("texts and numbers can be written as JSON"))
    }

    /// The response to the first request, again.
    pub(super) fn stored(text: String) -> Self {
        Self {
            text,
            tag: None,
            of: PhantomData,
        }
    }

    /// Adds the entity tag of the item.
    pub(super) fn tag(mut self, tag: String) -> Self {
        self.tag = Some(tag);
        self
    }

    /// The JSON.
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl<T, const STATUS: u16> IntoResponse for Answer<T, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(STATUS).expect("it is 200 or 201");
        let json = HeaderValue::from_static("application/json");
        let mut response = (status, [(CONTENT_TYPE, json)], self.text).into_response();
        let tag = self.tag.and_then(|tag| HeaderValue::try_from(tag).ok());
        if let Some(tag) = tag {
            response.headers_mut().insert(ETAG, tag);
        }
        response
    }
}

impl IntoResponse for Accepted {
    fn into_response(self) -> Response {
        StatusCode::ACCEPTED.into_response()
    }
}

impl<R> IntoResponse for WithCookie<R>
where
    R: IntoResponse,
{
    fn into_response(self) -> Response {
        let mut response = self.response.into_response();
        response.headers_mut().insert(SET_COOKIE, self.cookie);
        response
    }
}

impl<R> IntoResponse for Attachment<R>
where
    R: IntoResponse,
{
    fn into_response(self) -> Response {
        let mut response = self.response.into_response();
        let disposition = HeaderValue::from_static(self.disposition);
        response
            .headers_mut()
            .insert(CONTENT_DISPOSITION, disposition);
        response
    }
}
