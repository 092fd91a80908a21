//! axum's router with one route, by how its handler treats the body.

use std::hint::black_box;

use axum::{Json, Router, routing::post};
use garde::Validate;
use http::StatusCode;

use crate::{assembled::Chat, request::PATH};

/// The router whose handler ignores the body.
pub fn router() -> Router {
    Router::new().route(PATH, post(async || "ok"))
}

/// The router whose handler deserializes the body.
pub fn typed_router() -> Router {
    let handler = async |Json(chat): Json<Chat>| {
        black_box(&chat);
        "ok"
    };
    Router::new().route(PATH, post(handler))
}

/// The router whose handler deserializes and validates the body.
pub fn validated_router() -> Router {
    let handler = async |Json(chat): Json<Chat>| {
        let valid = chat.validate().is_ok();
        black_box(&chat);
        valid
            .then_some("ok")
            .ok_or(StatusCode::UNPROCESSABLE_ENTITY)
    };
    Router::new().route(PATH, post(handler))
}
