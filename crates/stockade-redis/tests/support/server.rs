//! A temporary Redis server on a free port, with a password; or the program that `REDIS_SERVER`
//! names, such as `valkey-server`.

use std::{
    env,
    io::ErrorKind,
    process::{Child, Command, Stdio},
};

use redis::{Client, Cmd, FromRedisValue};
use stockade_testkit::{poll::until, port};
use tempfile::TempDir;

const PASSWORD: &str = "correct-horse";

/// A server that is killed on drop.
pub struct Server {
    folder: TempDir,
    port: u16,
    extra: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts a server and waits until it responds.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with additional options, such as `--cluster-enabled yes`.
    pub fn start_with(extra: &[&str]) -> Self {
        let mut server = Self::absent_with(extra);
        server.restart();
        server
    }

    /// Reserves a port without starting the server.
    pub fn absent() -> Self {
        Self::absent_with(&[])
    }

    fn absent_with(extra: &[&str]) -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            // A cluster needs the port 10,000 above it, too.
            port: port::free(),
            extra: extra.iter().map(|&option| option.to_owned()).collect(),
            child: None,
        }
    }

    /// Starts it without data.
    pub fn restart(&mut self) {
        assert!(self.child.is_none(), "it runs");
        let port = self.port.to_string();
        let program = env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let spawned = Command::new(&program)
            .args(["--port", &port, "--bind", "127.0.0.1"])
            .args(["--requirepass", PASSWORD, "--masterauth", PASSWORD])
            .args([
                "--save",
                "",
                "--appendonly",
                "no",
                "--repl-diskless-sync-delay",
                "0",
            ])
            .args(&self.extra)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let client = self.client();
        let child = self.child.insert(match spawned {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!(
                    "these tests need {program}: apt-get install redis-server, or scripts/valkey"
                )
            }
            spawned => spawned.unwrap(),
        });
        until("the server of Redis starts", || {
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none(), "{program}: {}", ended.unwrap_or_default());
            client.get_connection().is_ok()
        });
    }

    /// Kills it like a crash.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Pauses it: it keeps its connections and does not reply.
    pub fn hold(&self) {
        self.signal("-STOP");
    }

    /// Resumes it.
    pub fn go_on(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let status = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// Runs a command.
    pub fn run<T>(&self, command: &[&str]) -> T
    where
        T: FromRedisValue,
    {
        let mut connection = self.client().get_connection().unwrap();
        let mut cmd = Cmd::new();
        for part in command {
            cmd.arg(*part);
        }
        cmd.query(&mut connection).unwrap()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        url(PASSWORD, self.port)
    }

    /// A URL with a wrong password.
    pub fn url_with_password(&self, password: &str) -> String {
        url(password, self.port)
    }

    /// A URL with another port.
    pub fn url_at(&self, port: u16) -> String {
        url(PASSWORD, port)
    }

    fn client(&self) -> Client {
        Client::open(self.url()).unwrap()
    }
}

fn url(password: &str, port: u16) -> String {
    format!("redis://:{password}@127.0.0.1:{port}")
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
