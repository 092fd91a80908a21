//! A folder with a store in it, and the command that works on it.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use http::Request;
use serde_json::Value;
use stockade_core::{Check, Clock, Guard, Head, Principal, SystemClock};
use stockade_key_auth::{FileKeyStore, KeyAuth, Pepper};
use tempfile::TempDir;

pub(crate) struct Bench {
    folder: TempDir,
}

/// What the command said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Bench {
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

    /// The command in the folder, in an environment that says nothing of stores.
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

    /// Runs it without a terminal.
    pub(crate) fn run(&self, args: &str) -> Said {
        self.run_with(args, "")
    }

    /// Runs it with this on its standard input.
    pub(crate) fn run_with(&self, args: &str, input: &str) -> Said {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Who does not read its input closes it early.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap().into()
    }

    /// Runs it, and it has to succeed.
    pub(crate) fn done(&self, args: &str) -> Said {
        let said = self.run(args);
        assert_eq!(said.code, 0, "{args}: {}{}", said.out, said.err);
        said
    }

    /// Makes a key, and returns its text.
    pub(crate) fn key(&self, id: &str, flags: &str) -> String {
        let said = self.done(&format!("keys new --json --id {id} {flags}"));
        said.json()["key"].as_str().unwrap().to_owned()
    }

    /// What servers think of a key now: the principal's id, or the cause.
    pub(crate) fn asks(&self, key: &str) -> Result<String, &'static str> {
        asks(&self.path("keys.yaml"), key, SystemClock::new(), None)
    }
}

/// What a guard over this file thinks of a key.
pub(crate) fn asks(
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
    let verdict = runtime.block_on(async {
        match guard.check(&head) {
            Check::Pass(pass) => Ok(pass),
            Check::Refuse(refusal) => Err(refusal),
            Check::Answer(answer) => panic!("{answer:?}"),
            Check::Wait(wait) => wait.await,
        }
    });
    let pass = verdict.map_err(|refusal| refusal.cause())?;
    guard.admit(pass, &mut head);
    Ok(Principal::of(&head.extensions).unwrap().id().to_owned())
}

impl Said {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    pub(crate) fn all(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    pub(crate) fn failed(&self, code: i32, text: &str) {
        assert_eq!(self.code, code, "{}", self.all());
        assert!(self.err.contains(text), "no {text:?} in {:?}", self.err);
    }
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
