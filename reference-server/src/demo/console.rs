//! The demo's console output: the location of its files, and example requests.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use stockade_key_auth::GeneratedKey;

use super::{DemoModel, EMBEDDING_NAME, NAME, UPSTREAM_NAME, question, sample_image};
use crate::{
    StartError,
    admin::AdminLinks,
    backend::ByteProgress,
    cli::print,
    serve::{LogReporter, ProgressReporter},
};

/// Reports progress on the terminal.
pub(super) struct ConsoleReporter {
    pub(super) folder: PathBuf,
    pub(super) kept: bool,
    pub(super) model: DemoModel,
    pub(super) key: GeneratedKey,
    pub(super) admin: Option<AdminLinks>,
    pub(super) bar: Option<ProgressBar>,
    pub(super) log: LogReporter,
    /// A failure is reported once.
    pub(super) has_failed: bool,
}

impl ProgressReporter for ConsoleReporter {
    fn administration(&mut self, links: AdminLinks) -> Result<(), StartError> {
        self.admin = Some(links);
        Ok(())
    }

    fn loading(&mut self, stage: &str, bytes: Option<ByteProgress>) {
        if self.has_failed {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::no_length();
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        if bar.is_hidden() {
            // Without a terminal, progress goes to the log.
            return self.log.loading(stage, bytes);
        }
        let template = match bytes {
            Some(ByteProgress { done, total }) => {
                bar.set_length(total);
                bar.set_position(done);
                "{spinner} {elapsed}  {wide_msg}  {binary_bytes} of {binary_total_bytes}"
            }
            None => "{spinner} {elapsed}  {wide_msg}",
        };
        // Not an error: the templates are constants.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(format!("loading the model: {stage}"));
    }

    fn ready(&mut self, address: SocketAddr, device: &str) {
        self.clear();
        // If the terminal is gone, the server keeps running without the text.
        let _ = print(&self.text(address, device));
        if let DemoModel::Trained = self.model {
            let key = self.key.expose().to_owned();
            tokio::spawn(question::ask_and_print(address, key));
        }
    }

    fn failed(&mut self, address: SocketAddr, why: &str) {
        self.clear();
        if std::mem::replace(&mut self.has_failed, true) {
            return;
        }
        let _ = print(&format!(
            "\nThe model is not available: {why}\n\
             The server is running and reports this at http://{address}/health\n\
             Ctrl-C stops it."
        ));
    }
}

impl ConsoleReporter {
    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn text(&self, address: SocketAddr, device: &str) -> String {
        let base = format!("http://{address}");
        let key = self.key.expose();
        let image = sample_image::data_url();
        let fate = if self.kept { "kept" } else { "removed on exit" };
        let folder = self.folder.display();
        let random = "with random weights";
        let model = match &self.model {
            DemoModel::Chosen(model) => format!("{model}, on {device}"),
            DemoModel::Trained => format!(
                "a tiny one that was trained for this demo, on {device}: it knows small\n\
                 \x20        pictures of buttons and shapes, and answers in a few words.\n\
                 \x20        A real one: stockade-server demo --model Hcompany/Holo1.5-7B"
            ),
            DemoModel::Random(_) => {
                format!("a tiny one {random}, on {device}: IT ANSWERS GIBBERISH.")
            }
        };
        let embedding = match &self.model {
            DemoModel::Chosen(_) => String::new(),
            _ => format!("\n         {EMBEDDING_NAME}: for /v1/embeddings, {random}"),
        };
        let admin = match &self.admin {
            Some(AdminLinks {
                setup: Some(link), ..
            }) => format!("\n  admin  {link}\n         a web page; this link works once"),
            Some(AdminLinks { page, .. }) => format!("\n  admin  {page}"),
            None => String::new(),
        };
        let question = match &self.model {
            DemoModel::Trained => question::QUESTION,
            _ => "What is in this picture?",
        };
        format!(
            r#"
Stockade is up at {base}

  files  {folder} ({fate})
  model  {NAME}: {model}
         {UPSTREAM_NAME}: the same over HTTP, as from vLLM or llama.cpp{embedding}
  key    {key}{admin}

Ask about an image and stream the answer:

curl -N {base}/v1/chat/completions \
  -H 'Authorization: Bearer {key}' \
  -H 'Content-Type: application/json' \
  -d '{{"model": "{NAME}", "stream": true, "max_tokens": 48, "temperature": 0, "messages": [{{"role": "user", "content": [
        {{"type": "text", "text": "{question}"}},
        {{"type": "image_url", "image_url": {{"url": "{image}"}}}}]}}]}}'

The same in Python, after: pip install openai

from openai import OpenAI
client = OpenAI(base_url="{base}/v1", api_key="{key}")
picture = "{image}"
stream = client.chat.completions.create(
    model="{NAME}", stream=True, max_tokens=48, temperature=0,
    messages=[{{"role": "user", "content": [
        {{"type": "text", "text": "{question}"}},
        {{"type": "image_url", "image_url": {{"url": picture}}}}]}}])
for chunk in stream:
    print(chunk.choices[0].delta.content or "", end="", flush=True)

Without the Authorization header, curl gets a 401. Ctrl-C stops the server.
"#
        )
    }
}
