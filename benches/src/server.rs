//! The server that programs of this folder start.

use std::{
    env,
    error::Error,
    io::{self, Write},
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::{Resource, getrlimit, setrlimit};

/// The folder of the workspace.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Builds the server without an engine, in the profile of this program.
///
/// # Errors
/// When the profile is unknown, or the server cannot be built.
pub fn build_server() -> Result<PathBuf, Box<dyn Error>> {
    let folder = env::current_exe()?.parent().map(Path::to_owned);
    let folder = folder.ok_or("this program has no folder")?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(profile) => profile,
        None => return Err("the folder of this program is no profile's".into()),
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "build",
        "--package",
        "stockade-server",
        "--no-default-features",
    ]);
    cargo
        .args(["--locked", "--profile", profile])
        .current_dir(ROOT);
    run(&mut cargo)?;
    Ok(folder.join("stockade-server"))
}

/// Makes a key in this file with the server's program, and returns it.
///
/// # Errors
/// When the program fails.
pub fn make_key(server: &Path, file: &Path, id: &str) -> Result<String, Box<dyn Error>> {
    let mut create = Command::new(server);
    let created = create
        .args(["key", "--id", id, "--file"])
        .arg(file)
        .output()?;
    if !created.status.success() {
        return Err(String::from_utf8_lossy(&created.stderr).into());
    }
    Ok(String::from_utf8(created.stdout)?.trim().to_owned())
}

/// Raises the limit of open descriptors to the maximum, here and in processes that are started.
///
/// # Errors
/// When the system refuses it.
pub fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Runs a program, and prints which.
///
/// # Errors
/// When it cannot be started, or fails.
pub fn run(command: &mut Command) -> Result<(), Box<dyn Error>> {
    writeln!(io::stderr(), "==> {command:?}")?;
    let status = command.status()?;
    match status.success() {
        true => Ok(()),
        false => Err(format!("{command:?}: {status}").into()),
    }
}
