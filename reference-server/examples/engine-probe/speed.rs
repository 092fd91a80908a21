//! The speed of the engine, without HTTP, JSON and the fence.

use std::{path::PathBuf, time::Instant};

use anyhow::{Context as _, ensure};
use clap::Args;
use mistralrs::ModelDType;
use serde_json::{Value, json};

use crate::engine::{self, Target};

#[derive(Debug, Args)]
pub(crate) struct SpeedArgs {
    device: Target,
    /// The directory of the model
    model: PathBuf,
    /// The number of chats
    #[arg(long, default_value_t = 10)]
    requests: usize,
    /// The maximum number of tokens of each answer
    #[arg(long, default_value_t = 128)]
    tokens: usize,
    /// The question
    #[arg(long, default_value = "Describe this")]
    question: String,
    /// A picture of each chat, in turns
    #[arg(long)]
    picture: Vec<PathBuf>,
}

pub(crate) async fn run(args: SpeedArgs) -> anyhow::Result<Value> {
    // As the server.
    let (dtype, precision) = match args.device {
        Target::Cpu => (ModelDType::F32, "f32"),
        Target::Cuda => (ModelDType::BF16, "bf16"),
    };
    let pictures = args.picture.iter().map(|file| {
        let name = file.display();
        image::open(file).with_context(|| format!("cannot read the picture {name}"))
    });
    let pictures = pictures.collect::<anyhow::Result<Vec<_>>>()?;
    let start = Instant::now();
    let model = engine::load(&args.model, args.device, dtype).await?;
    let load = start.elapsed();
    let mut chats = Vec::with_capacity(args.requests);
    for index in 0..args.requests {
        let picture = (!pictures.is_empty()).then(|| pictures[index % pictures.len()].clone());
        let images = picture.into_iter().collect();
        let answer = engine::ask(&model, &args.question, images, args.tokens).await;
        if let Some(error) = answer.error {
            anyhow::bail!("chat {index}: {error}");
        }
        ensure!(answer.tokens > 0, "chat {index}: no tokens");
        let first = answer.first_token.context("no first token")?;
        chats.push(json!({
            "first_token_seconds": first.as_secs_f64(),
            "seconds": answer.total.as_secs_f64(),
            "tokens": answer.tokens,
        }));
    }
    Ok(json!({
        "device": args.device.name(),
        "precision": precision,
        "load_seconds": load.as_secs_f64(),
        "chats": chats,
    }))
}
