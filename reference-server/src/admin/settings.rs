//! The configuration of the server, for the administration.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use stockade::{DeploymentFacts, Environment, Finding, Format, check};
use stockade_admin::{ConfigControl, ControlError, ControlFuture, SettingView, WarningView};
use stockade_server_config::ServerFile;
use tokio::task;

use crate::{Config, reload::ReloadHandle};

/// The configuration in effect.
pub(super) struct ServedSettings {
    current: Arc<ArcSwap<Config>>,
    reload: Option<ReloadHandle>,
}

impl ServedSettings {
    pub(super) fn new(config: &Config, reload: Option<ReloadHandle>) -> Self {
        let current = match &reload {
            Some(reload) => reload.current().clone(),
            None => Arc::new(ArcSwap::from_pointee(config.clone())),
        };
        Self { current, reload }
    }

    fn reload_handle(&self) -> Result<ReloadHandle, ControlError> {
        self.reload.clone().ok_or_else(|| {
            ControlError::new("this server does not read its configuration again")
                .with_help("start it with: stockade-server serve --config stockade.toml")
        })
    }
}

impl ConfigControl for ServedSettings {
    fn settings(&self) -> Vec<SettingView> {
        let config = self.current.load();
        let settings = config.fence.settings().iter().map(|setting| SettingView {
            name: setting.name.clone(),
            value: setting.value.clone(),
            origin: Some(setting.origin.to_string()),
        });
        settings.collect()
    }

    fn warnings(&self) -> Vec<WarningView> {
        let config = self.current.load();
        let facts = DeploymentFacts {
            listen: Some(config.server.listen),
            tls: config.server.tls.is_some(),
            ..DeploymentFacts::default()
        };
        check(&config.fence, &facts).into_iter().map(view).collect()
    }

    fn validate(&self, text: String) -> ControlFuture<'_, Vec<WarningView>> {
        let handle = self.reload_handle();
        Box::pin(async move {
            let path = handle?.path().to_owned();
            let checked = task::spawn_blocking(move || validate(&path, &text)).await;
            checked.unwrap_or_else(|_| Err(ControlError::new("the check panicked")))
        })
    }

    fn reload(&self) -> ControlFuture<'_, Vec<String>> {
        let handle = self.reload_handle();
        Box::pin(async move {
            let handle = handle?;
            let reloaded = task::spawn_blocking(move || handle.reload()).await;
            let reloaded = reloaded.map_err(|_| ControlError::new("the reload panicked"))?;
            reloaded.map_err(|error| ControlError::new(error.to_string()))
        })
    }
}

/// Checks a text in place of the configuration file, as `stockade check` does.
fn validate(path: &Path, text: &str) -> Result<Vec<WarningView>, ControlError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let is_yaml = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    let format = match is_yaml {
        true => Format::Yaml,
        false => Format::Toml,
    };
    let environment = Environment::from_process().legacy_names();
    let file = ServerFile::parse_in(folder, text, format, &environment);
    let file = file.map_err(|error| ControlError::new(error.to_string()))?;
    let facts = DeploymentFacts {
        listen: Some(file.server.listen),
        tls: file.server.tls.is_some(),
        ..DeploymentFacts::default()
    };
    let own = file.validate().into_iter().map(Finding::from);
    let findings = own.chain(file.warnings()).chain(check(&file.fence, &facts));
    Ok(findings.map(view).collect())
}

fn view(finding: Finding) -> WarningView {
    WarningView {
        setting: finding.setting,
        message: finding.reason,
        help: Some(finding.remedy.text).filter(|help| !help.is_empty()),
    }
}
