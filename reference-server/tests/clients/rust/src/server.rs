//! The server that `run.py` started.

use std::{
    env,
    time::{Duration, Instant},
};

use async_openai::{Client, config::OpenAIConfig};

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is missing: use scripts/clients"))
}

/// A model of the server.
pub(crate) struct Target {
    pub(crate) model: &'static str,
    pub(crate) client: Client<OpenAIConfig>,
}

impl Target {
    pub(crate) fn new(model: &'static str) -> Self {
        let client = client(&variable("STOCKADE_KEY"));
        Self { model, client }
    }

    pub(crate) async fn wait_for_running_chats(&self, number: f64) {
        let end = Instant::now() + Duration::from_secs(5);
        while self.running_chats().await != number {
            assert!(Instant::now() < end, "no {number} running chats");
            // Sleeps: polls another process.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn running_chats(&self) -> f64 {
        let server = variable(&format!("STOCKADE_METRICS_{}", self.model.to_uppercase()));
        let request = reqwest::Client::new().get(format!("{server}/metrics"));
        let response = request.bearer_auth(variable("STOCKADE_KEY")).send().await;
        let text = response.unwrap().text().await.unwrap();
        let values: Vec<f64> = text
            .lines()
            .filter(|line| line.starts_with("stockade_model_running_chats"))
            .map(|line| line.rsplit(' ').next().unwrap().parse().unwrap())
            .collect();
        assert!(!values.is_empty(), "{text}");
        values.iter().sum()
    }
}

pub(crate) fn client(key: &str) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new()
        .with_api_base(format!("{}/v1", variable("STOCKADE_URL")))
        .with_api_key(key);
    Client::with_config(config)
}

/// A client whose key permits one request per second.
pub(crate) fn limited() -> Client<OpenAIConfig> {
    client(&variable("STOCKADE_LIMITED_KEY"))
}
