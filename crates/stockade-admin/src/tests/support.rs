//! An administration with an actor, and its requests.

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

/// The URL of a new database.
pub(crate) async fn database(folder: &TempDir) -> String {
    format!("sqlite:{}/admin.db", folder.path().display())
}

/// A response.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect("the body is JSON")
    }

    /// Checks the status, and the code and the field of an error.
    pub(super) fn assert_error(&self, status: u16, code: &str, param: Option<&str>) {
        assert_eq!(self.status, status, "{}", self.text);
        let error = &self.json()["error"];
        assert_eq!(error["code"], code, "{error}");
        assert_eq!(error["param"].as_str(), param, "{error}");
    }
}
