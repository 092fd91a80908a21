//! The models of the server, for the administration.

use stockade_admin::{ControlError, ControlFuture, ModelControl, ModelState, UpstreamState};

use crate::{
    backend::Phase,
    models::{Model, Models},
};

/// The served models.
pub(super) struct ServedModels(pub(super) Models);

impl ModelControl for ServedModels {
    fn models(&self) -> Vec<ModelState> {
        self.0.iter().map(state).collect()
    }

    fn load(&self, name: &str) -> ControlFuture<'_, ()> {
        self.set_loaded(name, true)
    }

    fn unload(&self, name: &str) -> ControlFuture<'_, ()> {
        self.set_loaded(name, false)
    }
}

impl ServedModels {
    fn set_loaded(&self, name: &str, loaded: bool) -> ControlFuture<'_, ()> {
        let result = match self.0.get(name) {
            Some(model) if model.backend.can_unload() => {
                model.backend.set_loaded(loaded);
                Ok(())
            }
            Some(_) => Err(ControlError::new(format!(
                "{name} is not loaded by this server: its upstreams serve it"
            ))
            .with_help("load or unload it there")),
            None => Err(ControlError::new(format!("there is no model {name:?}"))),
        };
        Box::pin(std::future::ready(result))
    }
}

fn state(model: &Model) -> ModelState {
    let status = model.backend.status();
    let load = model.backend.load();
    let group = model.backend.upstreams();
    let (state, detail) = match status.phase {
        Phase::Loading(stage) => ("loading", Some(stage)),
        Phase::Ready => ("ready", None),
        Phase::Failed(reason) => ("failed", Some(reason)),
        Phase::Unloaded => ("unloaded", None),
    };
    let upstreams = group.iter().flat_map(|group| &group.upstreams);
    ModelState {
        name: model.name.clone(),
        kind: match group {
            Some(_) => "upstream",
            None => "engine",
        },
        state,
        detail,
        progress: status
            .bytes
            .and_then(|bytes| fraction(bytes.done, bytes.total)),
        device: group.is_none().then_some(status.device),
        running: load.map_or(0, |load| count(load.running)),
        waiting: load.map_or(0, |load| count(load.waiting)),
        can_unload: model.backend.can_unload(),
        upstreams: upstreams
            .map(|upstream| UpstreamState {
                url: upstream.url.to_string(),
                breaker: upstream.breaker.label(),
                running: count(upstream.in_flight),
                waiting: count(upstream.waiting),
            })
            .collect(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a fraction for a progress bar")]
fn fraction(done: u64, total: u64) -> Option<f64> {
    (total > 0).then(|| done as f64 / total as f64)
}

fn count(requests: usize) -> u64 {
    u64::try_from(requests).unwrap_or(u64::MAX)
}
