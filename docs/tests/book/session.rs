//! Runs the commands of a page.

use std::{
    collections::BTreeMap,
    env, fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{chapter::Chapter, glob};

/// The port of all programs.
const PORT: u16 = 3000;
/// The time within which a command must print what the page shows. Servers apply a changed file
/// within two seconds.
const DEADLINE: Duration = Duration::from_secs(15);
/// Commands that are repeated until then. Others may change a file.
const REPEATED: [&str; 5] = [
    "curl ",
    "grep ",
    "tail ",
    "stockade audit ",
    "stockade bans list ",
];
/// The time between two attempts.
const INTERVAL: Duration = Duration::from_millis(50);

/// A folder in which the commands of one page run, and the program that it has started.
pub(crate) struct Session<'c> {
    chapter: &'c Chapter,
    programs: &'c Path,
    folder: TempDir,
    program: Option<String>,
    server: Option<Child>,
    variables: BTreeMap<String, String>,
    outputs: String,
}

impl<'c> Session<'c> {
    /// Runs all commands of the page, and returns their number.
    ///
    /// Files that the page shows are written. `cargo run` starts the last program that the page
    /// has shown, and `cargo run --bin book-NAME` that of another page. `export NAME=START…` takes
    /// the word that an earlier command has printed, and `export NAME=$OTHER` copies a value.
    pub(crate) fn run(chapter: &'c Chapter, programs: &'c Path) -> usize {
        let mut session = Self {
            chapter,
            programs,
            folder: tempfile::tempdir().unwrap(),
            program: None,
            server: None,
            variables: BTreeMap::new(),
            outputs: String::new(),
        };
        let mut commands = 0;
        for block in chapter.blocks() {
            match block.language() {
                "toml" | "yaml" => {
                    if let Some(name) = block.file() {
                        fs::write(session.folder.path().join(name), &block.text).unwrap();
                    }
                }
                "rust" => session.program = block.program().map(str::to_owned),
                "console" => {
                    for (command, shown) in commands_of(&block.text) {
                        session.step(&command, &shown, &block.place(chapter));
                        commands += 1;
                    }
                }
                _ => {}
            }
        }
        commands
    }

    fn step(&mut self, command: &str, shown: &str, place: &str) {
        if let Some(arguments) = command.strip_prefix("cargo run") {
            if let Some(name) = arguments.strip_prefix(" --bin book-") {
                self.program = Some(name.to_owned());
            }
            assert!(
                shown.is_empty(),
                "{place}: the output of a program is not compared"
            );
            self.start();
        } else if let Some((name, value)) = command
            .strip_prefix("export ")
            .and_then(|rest| rest.split_once('='))
        {
            let value = self.complete(value);
            self.variables.insert(name.to_owned(), value);
        } else {
            self.compare(command, shown, place);
        }
    }

    /// Completes a value that ends with an ellipsis, and replaces `$NAME` by its value.
    fn complete(&self, value: &str) -> String {
        if let Some(name) = value.strip_prefix('$') {
            let known = self.variables.get(name);
            return known
                .unwrap_or_else(|| panic!("{}: ${name} is not set", self.chapter.name))
                .clone();
        }
        let Some(start) = value.strip_suffix('…') else {
            return value.to_owned();
        };
        let mut words = self.outputs.split_whitespace().rev();
        let found = words.find(|word| word.starts_with(start));
        found
            .unwrap_or_else(|| panic!("{}: no command printed {value}", self.chapter.name))
            .to_owned()
    }

    fn start(&mut self) {
        self.stop();
        let deadline = Instant::now() + Duration::from_secs(60);
        // Another program of the same port, such as one of a README, may run.
        while TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_err() {
            assert!(Instant::now() < deadline, "port {PORT} is in use");
            // Sleeps: between two tries, until the deadline.
            thread::sleep(INTERVAL);
        }
        let name = self
            .program
            .as_deref()
            .expect("a page shows a program first");
        let log = fs::File::create(self.log()).unwrap();
        let server = Command::new(self.programs.join(format!("book-{name}")))
            .current_dir(self.folder.path())
            .envs(&self.variables)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("book-{name}: {error}"));
        self.server = Some(server);
    }

    fn stop(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("the process is a child");
            server.wait().expect("the process is a child");
        }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("server.out")
    }

    /// Runs a command until it prints what the page shows: a server needs time to start, to
    /// notice a changed file, and to write a record.
    fn compare(&mut self, command: &str, shown: &str, place: &str) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let output = self.shell(command);
            if glob::matches(shown, &output) {
                self.outputs.push_str(&output);
                return;
            }
            let repeats = REPEATED.iter().any(|name| command.starts_with(name));
            if Instant::now() > deadline || !repeats {
                let log = fs::read_to_string(self.log()).unwrap_or_default();
                panic!(
                    "{place}: `{command}` printed:\n{output}\ninstead of:\n{shown}\n\
                     the output of the server:\n{log}"
                );
            }
            // Sleeps: between two tries, until the deadline.
            thread::sleep(INTERVAL);
        }
    }

    /// The output and errors of a command.
    fn shell(&self, command: &str) -> String {
        let path = env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {command}")])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env(
                "CURL_HOME",
                env!("CARGO_MANIFEST_DIR").to_owned() + "/tests/book",
            )
            .env("NO_COLOR", "1")
            .envs(&self.variables)
            .stdin(Stdio::null())
            .output()
            .expect("bash starts");
        String::from_utf8_lossy(&output.stdout).replace('\r', "")
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The commands of a console block with the output that it shows.
fn commands_of(text: &str) -> Vec<(String, String)> {
    let mut commands: Vec<(String, String)> = Vec::new();
    let mut continued = false;
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push((command.to_owned(), String::new())),
            (None, Some((command, _))) if continued => {
                command.truncate(command.len() - 1);
                command.push_str(line.trim_start());
            }
            (None, Some((_, shown))) => {
                shown.push_str(line);
                shown.push('\n');
            }
            (None, None) => panic!("a console block starts with `$ `: {line}"),
        }
        continued = commands
            .last()
            .is_some_and(|(command, shown)| shown.is_empty() && command.ends_with('\\'));
    }
    commands
}

#[test]
fn commands_have_continuations_and_outputs() {
    let text = "$ curl -i \\\n    host\nHTTP/1.1 200 OK\n\nok\n$ true\n";
    let expected = [("curl -i host", "HTTP/1.1 200 OK\n\nok\n"), ("true", "")];
    let expected = expected.map(|(command, shown)| (command.to_owned(), shown.to_owned()));
    assert_eq!(commands_of(text), expected);
}
