//! The descriptions of the arguments and results of handlers.

use axum::{
    Extension, Json,
    extract::State,
    response::{NoContent, Sse},
};
use utoipa::{IntoParams, ToSchema};

use super::{Input, Operation, Output};
use crate::{
    actor::Actor,
    api::{
        answer::{Accepted, Answer, Attachment, WithCookie},
        etag::{IfMatch, Tagged},
        idempotency::Creation,
        json::{ApiJson, ApiPath, ApiQuery},
    },
    auth::{Client, Session, SessionCookie},
    error::ApiResult,
    state::AdminState,
};

// What the description of a route contains anyway, or is not for clients to set.
impl Input for State<AdminState> {}
impl Input for Actor {}
impl Input for Client {}
impl Input for SessionCookie {}
impl Input for Option<Extension<Session>> {}
impl<T> Input for ApiPath<T> {}

impl<T, const MAX: usize> Input for ApiJson<T, MAX>
where
    T: ToSchema,
{
    fn describe(operation: &mut Operation) {
        operation.read::<T>();
    }
}

impl<T> Input for Creation<T>
where
    T: ToSchema,
{
    fn describe(operation: &mut Operation) {
        operation.header("idempotency-key", false);
        operation.read::<T>();
    }
}

impl<T> Input for ApiQuery<T>
where
    T: IntoParams,
{
    fn describe(operation: &mut Operation) {
        operation.query::<T>();
    }
}

impl Input for IfMatch {
    fn describe(operation: &mut Operation) {
        operation.header("if-match", true);
    }
}

impl<R> Output for ApiResult<R>
where
    R: Output,
{
    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }
}

impl<T> Output for Json<T>
where
    T: ToSchema,
{
    fn describe(operation: &mut Operation) {
        operation.json::<T>(200);
    }
}

impl<T> Output for Tagged<T>
where
    T: ToSchema,
{
    fn describe(operation: &mut Operation) {
        operation.json::<T>(200);
    }
}

impl<T, const STATUS: u16> Output for Answer<T, STATUS>
where
    T: ToSchema,
{
    fn describe(operation: &mut Operation) {
        operation.json::<T>(STATUS);
    }
}

impl<R> Output for WithCookie<R>
where
    R: Output,
{
    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }
}

impl<R> Output for Attachment<R>
where
    R: Output,
{
    fn describe(operation: &mut Operation) {
        R::describe(operation);
    }
}

impl Output for Accepted {
    fn describe(operation: &mut Operation) {
        operation.empty(202);
    }
}

impl Output for NoContent {
    fn describe(operation: &mut Operation) {
        operation.empty(204);
    }
}

impl<S> Output for Sse<S> {
    fn describe(operation: &mut Operation) {
        operation.text(200, &["text/event-stream"]);
    }
}
