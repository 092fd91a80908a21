//! `GET /v1/models` and `GET /v1/models/{id}`: the model that is served.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use stockade_core::refusal::{Refusal, RefusalKind};

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
        data: [served_model(&api)],
    })
    .into_response()
}

pub(super) async fn retrieve(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let model = served_model(&api);
    let refusal = match id {
        Ok(Path(id)) if model.id == id => return Json(model).into_response(),
        Ok(_) => model_not_found(&model.id),
        Err(_) => {
            let text = "the model name is not valid UTF-8: percent-encode it as UTF-8";
            Refusal::new(RefusalKind::Invalid, text).with_param("model")
        }
    };
    let (head, _) = request.into_parts();
    refusals::respond(&refusal, &head)
}

/// The refusal of a request for a model that is not served.
pub(super) fn model_not_found(served: &str) -> Refusal {
    let text = format!("this model is not served here: use `{served}`");
    Refusal::new(RefusalKind::NotFound, text)
        .with_code("MODEL_NOT_FOUND")
        .with_param("model")
}

fn served_model(api: &Api) -> Model {
    Model {
        id: api.backend.status().model,
        object: "model",
        created: unix_seconds(api.started),
        owned_by: "stockade",
    }
}
