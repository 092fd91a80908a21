//! The configuration file: its settings, its warnings, and its reload.

use std::{
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use stockade::{Config, ConfigError, DeploymentFacts, Environment, Fence, Format, check};
use stockade_admin::{ConfigControl, ControlError, ControlFuture, SettingView, WarningView};

pub(crate) struct Settings {
    path: PathBuf,
    config: Mutex<Config>,
    fence: Fence,
}

impl Settings {
    pub(crate) fn new(path: PathBuf, config: Config, fence: Fence) -> Self {
        let config = Mutex::new(config);
        Self {
            path,
            config,
            fence,
        }
    }

    fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again; the origins that the page calls stay.
    fn read(&self) -> Result<Config, ConfigError> {
        let mut config = Config::read(&self.path, &Environment::from_process())?;
        config.cors.clone_from(&self.config().cors);
        Ok(config)
    }

    fn apply(&self) -> Result<Vec<String>, ConfigError> {
        let config = self.read()?;
        let pending = self.fence.reload(&config)?;
        *self.config() = config;
        Ok(pending)
    }
}

impl ConfigControl for Settings {
    fn settings(&self) -> Vec<SettingView> {
        let config = self.config();
        let settings = config.settings().iter();
        let views = settings.map(|setting| SettingView {
            name: setting.name.clone(),
            value: setting.value.clone(),
            origin: Some(setting.origin.to_string()),
        });
        views.collect()
    }

    fn warnings(&self) -> Vec<WarningView> {
        warnings(&self.config())
    }

    fn validate(&self, text: String) -> ControlFuture<'_, Vec<WarningView>> {
        let config = Config::parse(&text, Format::Toml, &Environment::from_process());
        let result = config
            .map(|config| warnings(&config))
            .map_err(control_error);
        Box::pin(async { result })
    }

    fn reload(&self) -> ControlFuture<'_, Vec<String>> {
        let result = self.apply().map_err(control_error);
        Box::pin(async { result })
    }
}

fn warnings(config: &Config) -> Vec<WarningView> {
    let findings = check(config, &DeploymentFacts::default()).into_iter();
    let views = findings.map(|finding| WarningView {
        setting: match finding.origin {
            // A variable without a setting.
            Some(origin) if finding.setting.is_empty() => origin.to_string(),
            _ => finding.setting,
        },
        message: finding.reason,
        help: Some(finding.remedy.text),
    });
    views.collect()
}

fn control_error(error: ConfigError) -> ControlError {
    ControlError::new(error.to_string())
}
