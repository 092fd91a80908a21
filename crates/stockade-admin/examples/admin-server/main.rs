//! A chat API behind a fence, and its administration on a listener of its own.
//!
//! ```sh
//! cargo run --example admin-server
//! ```
//! It prints the one-time link that creates the first user. The first argument is the folder of
//! the configuration, the keys, the bans and the database; by default, a temporary one that is
//! removed on exit. The model repeats the question: replace `chat.rs` with your own.

#![expect(clippy::print_stdout, reason = "for its user")]

mod chat;
mod models;
mod settings;

use std::{env, error::Error, fs, net::SocketAddr, path::Path};

use axum::{Router, extract::DefaultBodyLimit, routing::post};
use stockade::{Config, Environment, Fence, SecretUrl};
use stockade_admin::{Admin, AdminConfig, AdminStore};
use stockade_key_auth::FileKeyStore;
use tokio::net::TcpListener;

use models::Parrot;
use settings::Settings;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let temporary = tempfile::tempdir()?;
    let argument = env::args_os().nth(1);
    let folder = argument.as_deref().map_or(temporary.path(), Path::new);
    let api = listen("API_LISTEN", "127.0.0.1:8000").await?;
    let administration = listen("ADMIN_LISTEN", "127.0.0.1:8001").await?;
    let api_url = format!("http://{}", api.local_addr()?);
    let admin_url = format!("http://{}", administration.local_addr()?);

    let path = prepare(folder)?;
    let mut config = Config::read(&path, &Environment::from_process())?;
    // The playground of the page calls the API from another origin.
    config.cors.allow_origins = vec![admin_url.clone()];

    // The journal is a part of the fence, so the database is opened first.
    let mut admin_config = AdminConfig::default();
    let database = folder.join("admin.db");
    admin_config.database = SecretUrl::from(format!("sqlite:{}", database.display()).as_str());
    let store = AdminStore::open(admin_config).await?;
    let fence = Fence::builder(&config)
        .copy_records(store.journal()?)
        .build()
        .await?;

    let mut admin = Admin::builder(store, fence.audit().clone())
        .keys(fence.key_store().clone())
        .models(Parrot::default())
        .settings(Settings::new(path, config, fence.clone()))
        .gateway_url(&api_url);
    if let Some(detector) = fence.detector() {
        admin = admin.detector(detector.clone());
    }
    let admin = admin.build();

    println!("API: {api_url}");
    match admin.setup_token().await? {
        Some(token) => println!("Administration: {admin_url}/admin/#setup={token}"),
        None => println!("Administration: {admin_url}/admin/"),
    }

    let chat = Router::new()
        .route("/v1/chat/completions", post(chat::chat))
        // The fence limits bodies; axum's default of 2 MB is too small for images.
        .layer(DefaultBodyLimit::disable())
        .layer(fence.layer());
    tokio::try_join!(serve(api, chat), serve(administration, admin.router()))?;
    Ok(())
}

/// Listens on the address of this variable, or on the default.
async fn listen(variable: &str, default: &str) -> Result<TcpListener, Box<dyn Error>> {
    let address = env::var(variable).unwrap_or_else(|_| default.to_owned());
    let listener = TcpListener::bind(&address).await;
    Ok(listener.map_err(|error| format!("cannot listen on {address}: {error}"))?)
}

/// Creates the files that are missing, and returns the path of the configuration.
fn prepare(folder: &Path) -> Result<std::path::PathBuf, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let path = folder.join("stockade.toml");
    if !path.try_exists()? {
        fs::write(&path, include_str!("stockade.toml"))?;
    }
    FileKeyStore::create_or_open_static(folder.join("keys.yaml"))?;
    Ok(path)
}

/// The limits and bans by address need the address of the peer.
async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await
}
