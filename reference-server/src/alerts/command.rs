//! Passes messages to a program.

use std::{env, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use super::{Message, delivery::DeliveryError};

/// A program that reads a message from standard input. Its exit code tells whether the message
/// has arrived.
pub(super) struct Program {
    path: String,
    arguments: Vec<String>,
}

impl Program {
    /// `None` for an empty command.
    pub(super) fn new(command: &[String]) -> Option<Self> {
        let (path, arguments) = command.split_first()?;
        Some(Self {
            path: path.clone(),
            arguments: arguments.to_vec(),
        })
    }

    /// Runs the program; it is killed if the future is dropped.
    pub(super) async fn run(&self, message: &Message) -> Result<String, DeliveryError> {
        let failed = |what: &str, error: std::io::Error| {
            DeliveryError::Failed(format!("cannot {what} {}: {error}", self.path))
        };
        let mut child = Command::new(&self.path)
            .args(&self.arguments)
            // The variables of the server contain secrets.
            .env_clear()
            .envs(env::var_os("PATH").map(|path| ("PATH", path)))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("run", error))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input fails or succeeds by its exit code.
            let _ = stdin.write_all(message.body.as_bytes()).await;
        }
        let exit = child
            .wait()
            .await
            .map_err(|error| failed("wait for", error))?;
        match exit.success() {
            true => Ok(exit.to_string()),
            false => Err(DeliveryError::Failed(format!("{}: {exit}", self.path))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;
    use crate::alerts::delivery::Destination;

    /// Longer than a loaded machine needs to start a shell.
    const TIMEOUT: Duration = Duration::from_secs(60);

    fn shell(script: &str) -> Destination {
        let command = ["/bin/sh", "-c", script].map(str::to_owned);
        Destination::Command(Program::new(&command).unwrap())
    }

    #[tokio::test]
    async fn a_program_reads_the_message_without_the_variables_of_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let (input, variables) = (folder.path().join("in"), folder.path().join("env"));
        let script = format!("cat > {}; env > {}", input.display(), variables.display());
        let message = Message::test("host", 1);
        let sent = shell(&script).send(&message, TIMEOUT).await;
        assert_eq!(sent.unwrap(), "exit status: 0");
        assert_eq!(fs::read_to_string(input).unwrap(), message.body);
        let variables = fs::read_to_string(variables).unwrap();
        assert!(!variables.contains("CARGO"), "{variables}");
        assert!(variables.contains("PATH="), "{variables}");
    }

    #[tokio::test]
    async fn a_program_that_fails_or_takes_too_long_has_not_delivered() {
        let message = Message::test("host", 1);
        let failed = shell("exit 3").send(&message, TIMEOUT).await.unwrap_err();
        assert_eq!(failed.to_string(), "/bin/sh: exit status: 3");
        let short = Duration::from_millis(200);
        // `exec`, so that the program itself is killed.
        let slow = shell("exec sleep 600").send(&message, short).await;
        assert!(slow.unwrap_err().to_string().starts_with("timed out"));
        let missing = Destination::Command(Program::new(&["/no/such".to_owned()]).unwrap());
        let error = missing.send(&message, TIMEOUT).await.unwrap_err();
        assert!(
            error.to_string().starts_with("cannot run /no/such: "),
            "{error}"
        );
    }
}
