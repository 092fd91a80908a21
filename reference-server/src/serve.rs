//! The life of a server process: start, load the model, serve, end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::time;

use crate::{
    Config, StartError,
    backend::{Backend, MistralRs, Phase},
    reload::{HangUps, Reloader, Reread},
    server::{self, Server},
};

/// How often the backend is asked how far loading is.
const ASK: Duration = Duration::from_millis(100);

/// Serves until a signal ends it. Where it can be read again, SIGHUP does so; elsewhere that
/// signal ends the process, as the end of its terminal should.
pub(crate) async fn serve(
    config: Config,
    reread: Option<Reread>,
    to: impl Announce,
) -> Result<(), StartError> {
    let stop = server::on_signals()?;
    let hang_ups = reread.as_ref().map(|_| HangUps::listen()).transpose()?;
    let model = config.backend()?;
    model
        .check()
        .map_err(|fault| StartError::new(format!("model.source: {fault}")))?;
    // The port first: a second server should not wait for a model.
    let mut server = Server::bind(&config).await?;
    let address = server.address();
    let scheme = match server.tls() {
        Some(_) => "https",
        None => "http",
    };
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(%address, scheme, model = model.name, version, "listening");
    for layer in server.fence().to_string().lines() {
        tracing::info!("{layer}");
    }
    if let Some((reread, hang_ups)) = reread.zip(hang_ups) {
        let reloader = Reloader::start(reread, server.fence().clone(), server.tls().cloned())?;
        server.add_source(reloader.health());
        tokio::spawn(reloader.follow(hang_ups));
    }
    let backend: Arc<dyn Backend> = Arc::new(MistralRs::start(model));
    let announcing = tokio::spawn(announce(Arc::clone(&backend), address, to));
    server.run(backend, stop).await;
    announcing.abort();
    Ok(())
}

/// Is notified of how loading goes.
pub(crate) trait Announce: Send + 'static {
    /// Loading has come this far.
    fn loading(&mut self, how_far: &str);

    /// The model answers.
    fn ready(&mut self, address: SocketAddr, device: &str);

    /// The model cannot be loaded, and this is tried again. Called more than once.
    fn failed(&mut self, address: SocketAddr, why: &str);
}

async fn announce(backend: Arc<dyn Backend>, address: SocketAddr, mut to: impl Announce) {
    loop {
        let status = backend.status();
        match status.phase {
            Phase::Loading(how_far) => to.loading(&how_far),
            Phase::Ready => return to.ready(address, &status.device),
            Phase::Failed(why) => to.failed(address, &why),
        }
        time::sleep(ASK).await;
    }
}

/// Tells the log.
#[derive(Default)]
pub(crate) struct ToLog {
    last: String,
    /// Attempts after a failure are not worth a line each.
    has_failed: bool,
}

impl Announce for ToLog {
    fn loading(&mut self, how_far: &str) {
        if !self.has_failed && self.last != how_far {
            how_far.clone_into(&mut self.last);
            tracing::info!(how_far, "loading the model");
        }
    }

    fn ready(&mut self, _address: SocketAddr, device: &str) {
        tracing::info!(device, "the model is ready");
    }

    fn failed(&mut self, _address: SocketAddr, _why: &str) {
        // The backend logs each new cause.
        self.has_failed = true;
    }
}
