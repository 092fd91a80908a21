//! `GET /v1/models` and `GET /v1/models/{id}`: the one model that is served.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use stockade_core::{Refusal, RefusalKind};

use super::{Api, refusals, unix_seconds};

#[derive(Serialize)]
struct Models {
    object: &'static str,
    data: [Model; 1],
}

#[derive(Serialize)]
struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Response {
    Json(Models {
        object: "list",
        data: [served(&api)],
    })
    .into_response()
}

pub(super) async fn one(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let model = served(&api);
    if model.id == id {
        return Json(model).into_response();
    }
    let (head, _) = request.into_parts();
    refusals::respond(&not_served(&model.id), &head)
}

/// The model that was asked for is not the one that is served.
pub(super) fn not_served(served: &str) -> Refusal {
    let text = format!("this model is not served here; the one that is: `{served}`");
    Refusal::new(RefusalKind::NotFound, text)
        .with_code("MODEL_NOT_FOUND")
        .with_param("model")
}

fn served(api: &Api) -> Model {
    Model {
        id: api.backend.status().model,
        object: "model",
        created: unix_seconds(api.started),
        owned_by: "stockade",
    }
}
