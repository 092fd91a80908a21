//! Runs the command in a temporary directory.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use http::Request;
use serde_json::Value;
use stockade_core::{
    clock::{Clock, SystemClock},
    guard::{Check, Guard, Head},
};
use stockade_key_auth::{FileKeyStore, KeyAuth, Pepper};
use tempfile::TempDir;

pub(crate) struct Sandbox {
    folder: TempDir,
}

/// The exit code and output of the command.
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The command in the directory, without environment variables that affect it.
    pub(crate) fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
        command.args(args.split_whitespace());
        command.current_dir(self.folder.path());
        for variable in [
            "STOCKADE_KEYS",
            "DENYLIST_FILE",
            "STOCKADE_AUDIT_KEY",
            "STOCKADE_AUDIT__KEY_FILE",
            "STOCKADE_AUDIT__KEY_ID",
            "NO_COLOR",
            "CLICOLOR_FORCE",
        ] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs the command without a terminal.
    pub(crate) fn run(&self, args: &str) -> CommandOutput {
        self.run_with(args, "")
    }

    /// Runs the command with this standard input.
    pub(crate) fn run_with(&self, args: &str, input: &str) -> CommandOutput {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that does not read its input closes it early.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Runs the command, and asserts that it succeeds.
    pub(crate) fn run_ok(&self, args: &str) -> CommandOutput {
        let output = self.run(args);
        assert_eq!(output.code, 0, "{args}: {}{}", output.stdout, output.stderr);
        output
    }

    /// Creates a key, and returns it.
    pub(crate) fn key(&self, id: &str, flags: &str) -> String {
        let output = self.run_ok(&format!("keys new --json --id {id} {flags}"));
        output.json()["key"].as_str().unwrap().to_owned()
    }

    /// Authenticates a key in the same way as a server: the principal's id, or the reason of
    /// the refusal.
    pub(crate) fn authenticate(&self, key: &str) -> Result<String, &'static str> {
        authenticate(&self.path("keys.yaml"), key, SystemClock::new(), None)
    }
}

/// Authenticates a key with a guard over this file.
pub(crate) fn authenticate(
    path: &Path,
    key: &str,
    clock: impl Clock,
    pepper: Option<Pepper>,
) -> Result<String, &'static str> {
    let store = FileKeyStore::open(path).unwrap();
    let mut guard = KeyAuth::new(&store).clock(clock);
    if let Some(pepper) = pepper {
        guard = guard.pepper(pepper);
    }
    let request = Request::builder().header("authorization", format!("Bearer {key}"));
    let mut head = Head::new(request.body(()).unwrap().into_parts().0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let result = runtime.block_on(async {
        match guard.check(&head) {
            Check::Pass(pass) => Ok(pass),
            Check::Refuse(refusal) => Err(refusal),
            Check::Answer(answer) => panic!("{answer:?}"),
            Check::Wait(wait) => wait.await,
        }
    });
    let pass = result.map_err(|refusal| refusal.internal_reason())?;
    guard.admit(pass, &mut head);
    Ok(head.context().principal().unwrap().id().to_owned())
}

impl CommandOutput {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    pub(crate) fn combined(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    pub(crate) fn assert_failed(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{}", self.combined());
        assert!(
            self.stderr.contains(text),
            "no {text:?} in {:?}",
            self.stderr
        );
    }
}

impl From<Output> for CommandOutput {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
