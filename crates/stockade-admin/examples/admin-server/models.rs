//! The state of the model, which can be loaded and unloaded.

use std::sync::atomic::{AtomicBool, Ordering};

use stockade_admin::{ControlError, ControlFuture, ModelControl, ModelState};

/// The model of this example, which needs no memory: only its state changes.
#[derive(Debug, Default)]
pub(crate) struct Parrot {
    unloaded: AtomicBool,
}

impl Parrot {
    fn set(&self, name: &str, unloaded: bool) -> Result<(), ControlError> {
        if name != "parrot" {
            return Err(ControlError::new("no model has this name").with_help("use `parrot`"));
        }
        self.unloaded.store(unloaded, Ordering::Relaxed);
        Ok(())
    }
}

impl ModelControl for Parrot {
    fn models(&self) -> Vec<ModelState> {
        vec![ModelState {
            name: "parrot".to_owned(),
            kind: "engine",
            state: match self.unloaded.load(Ordering::Relaxed) {
                true => "unloaded",
                false => "ready",
            },
            device: Some("cpu".to_owned()),
            can_unload: true,
            ..ModelState::default()
        }]
    }

    fn load(&self, name: &str) -> ControlFuture<'_, ()> {
        let result = self.set(name, false);
        Box::pin(async { result })
    }

    fn unload(&self, name: &str) -> ControlFuture<'_, ()> {
        let result = self.set(name, true);
        Box::pin(async { result })
    }
}
