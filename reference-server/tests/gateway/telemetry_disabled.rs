//! A build without the feature `otel`.

use stockade::Environment;
use stockade_server::{Config, Server};

#[tokio::test]
async fn telemetry_needs_its_feature() {
    let text = "[server]\nlisten = \"127.0.0.1:0\"\n\
                [[models]]\nname = \"small\"\nupstream = [{ url = \"http://127.0.0.1:1/v1\" }]\n\
                [auth]\nkeys_file = \"keys.yaml\"\n\
                [telemetry]\notlp_endpoint = \"http://127.0.0.1:4318\"\n";
    let config = Config::parse(text, &Environment::default()).unwrap();
    let error = Server::bind(&config).await.unwrap_err().to_string();
    assert!(
        error.contains("[telemetry]") && error.contains("feature `otel`"),
        "{error}"
    );
}
