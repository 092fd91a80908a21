//! `GET /v1/models` and `GET /v1/models/{id}`: the served models.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, Request, State, rejection::PathRejection},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use stockade_core::refusal::{Refusal, RefusalKind};

use super::{Api, refusals, unix_seconds};
use crate::{
    backend::ImageSupport,
    models::{Model, Models},
};

#[derive(Serialize)]
struct ModelList {
    object: &'static str,
    data: Vec<ModelObject>,
}

#[derive(Serialize)]
struct ModelObject {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stockade: Option<StockadeObject>,
}

/// What only this server reports.
#[derive(Serialize)]
struct StockadeObject {
    images: ImageSupport,
}

pub(super) async fn list(State(api): State<Arc<Api>>) -> Response {
    Json(ModelList {
        object: "list",
        data: api.models.iter().map(|model| api.object(model)).collect(),
    })
    .into_response()
}

pub(super) async fn retrieve(
    State(api): State<Arc<Api>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Response {
    let refusal = match id {
        Ok(Path(id)) => match api.models.get(&id) {
            Some(model) => return Json(api.object(model)).into_response(),
            None => model_not_found(&api.models),
        },
        Err(_) => {
            let text = "the model name is not valid UTF-8: percent-encode it as UTF-8";
            Refusal::new(RefusalKind::Invalid, text).with_param("model")
        }
    };
    let (head, _) = request.into_parts();
    refusals::respond(&refusal, &head)
}

/// The maximum number of names that an error lists.
const MAX_NAMES: usize = 8;

/// The refusal of a request for a model that is not served.
pub(super) fn model_not_found(models: &Models) -> Refusal {
    let names = names(models.iter());
    let text = format!("this model is not served here: use {names}");
    Refusal::new(RefusalKind::NotFound, text)
        .with_code("MODEL_NOT_FOUND")
        .with_param("model")
}

/// The names of models, as alternatives.
pub(super) fn names<'a>(models: impl Iterator<Item = &'a Model>) -> String {
    let mut names: Vec<_> = models.map(|model| format!("`{}`", model.name)).collect();
    if names.len() > MAX_NAMES {
        names.truncate(MAX_NAMES);
        names.push("another of GET /v1/models".to_owned());
    }
    names.join(" or ")
}

impl Api {
    fn object(&self, model: &Model) -> ModelObject {
        let images = model.backend.images();
        ModelObject {
            id: model.name.clone(),
            object: "model",
            created: unix_seconds(self.started),
            owned_by: "stockade",
            stockade: images.map(|images| StockadeObject { images }),
        }
    }
}
