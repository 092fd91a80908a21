//! Other processes of the server's user cannot read its environment and memory.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    process::{Child, Command, Stdio},
};

use stockade_testkit::{poll::until_async, port};
use tempfile::TempDir;

use crate::test_server::write_files;

/// A user without privileges on most systems.
const UNPRIVILEGED: u32 = 65_534;

/// A server of an unprivileged user.
struct Server {
    child: Child,
    user: u32,
    _folder: TempDir,
}

impl Server {
    async fn start(setting: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = port::free();
        // The address of a model server that does not run.
        let model = "[[models]]\nname = \"a\"\nupstream = [{ url = \"http://127.0.0.1:9/v1\" }]\n";
        let lines = format!("[server]\n{setting}\n{model}");
        let config = write_files(folder.path(), &lines);
        // This process may be that of root, which may read everything.
        let user = match folder.path().metadata().unwrap().uid() {
            0 => UNPRIVILEGED,
            user => user,
        };
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let _ = chown(entry.unwrap().path(), Some(user), None);
        }
        let child = Command::new(env!("CARGO_BIN_EXE_stockade-server"))
            .args([
                "serve",
                "--listen",
                &format!("127.0.0.1:{port}"),
                "--config",
            ])
            .arg(config)
            .env("TEST_SECRET", "hunter2")
            .current_dir("/")
            .uid(user)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self {
            child,
            user,
            _folder: folder,
        };
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://127.0.0.1:{port}/health/live");
        until_async("the server listens", async || {
            client.get(&url).send().await.is_ok()
        })
        .await;
        server
    }

    /// What another process of the same user reads from a file of the process.
    fn read(&self, name: &str) -> (bool, String) {
        let output = Command::new("cat")
            .arg(format!("/proc/{}/{name}", self.child.id()))
            .current_dir("/")
            .uid(self.user)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.success(), text)
    }

    /// The owner of the process's files, which is root for a process that cannot be dumped.
    fn owner(&self) -> u32 {
        let environ = format!("/proc/{}/environ", self.child.id());
        fs::metadata(environ).unwrap().uid()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn hides_the_environment_and_the_memory() {
    let server = Server::start("").await;
    assert_eq!(server.owner(), 0);
    for name in ["environ", "maps"] {
        assert_eq!(server.read(name), (false, String::new()), "{name}");
    }
}

#[tokio::test]
async fn can_be_debugged_if_the_configuration_allows_it() {
    let server = Server::start("dangerous_allow_debugging = true").await;
    assert_eq!(server.owner(), server.user);
    let (readable, environment) = server.read("environ");
    assert!(readable && environment.contains("TEST_SECRET=hunter2"));
}
