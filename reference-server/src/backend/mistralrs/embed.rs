//! Embeds the inputs of a request, one after the other, in a task of its own.
//!
//! The task reads all of the engine's replies, even after the client has disconnected (see
//! `quirks`), and holds the slot until the engine has stopped. It then starts no further input.

use std::{sync::Arc, time::Instant};

use tokio::sync::oneshot;

use super::{
    BackendError, MistralRs, Usage, UsageMeter,
    admission::{Admission, Demand, Slot},
    cost::Work,
    demand,
    embedder::Embedder,
    engine, quirks,
};
use crate::embedding::{EmbeddingRequest, Embeddings};

impl MistralRs {
    /// Embeds the inputs of a request.
    pub(super) async fn embeddings(
        self,
        request: EmbeddingRequest,
        meter: UsageMeter,
    ) -> Result<Embeddings, BackendError> {
        // Before the queue: requests that can never succeed are refused immediately.
        let embedder = self.embedder()?;
        let dimensions = embedder.info.matryoshka.length(request.dimensions);
        let dimensions = dimensions.map_err(|message| BackendError::Invalid {
            param: "dimensions".to_owned(),
            message,
        })?;
        let on_cpu = embedder.info.on_cpu;
        let encode = move || embedder.info.tokens(request);
        let inputs = self.decode_pool.run(encode).await;
        let inputs = inputs.unwrap_or(Err(BackendError::Engine))?;
        let work = Work {
            texts: inputs.iter().map(Vec::len).collect(),
            ..Work::default()
        };
        let demand = Demand {
            share: demand::share(&meter),
            slots: quirks::slots(false, on_cpu, self.admission.capacity()),
            estimate: self.admission.estimate(&work),
        };
        let slot = self.admission.enter(demand).await?;

        let task = EmbeddingTask {
            // The engine may have died while the request was waiting.
            embedder: self.embedder()?,
            inputs,
            dimensions,
            meter,
            slot,
            admission: self.admission,
        };
        let (reply, result) = oneshot::channel();
        tokio::spawn(task.run(reply));
        result.await.unwrap_or(Err(BackendError::Engine))
    }
}

/// Inputs to embed.
struct EmbeddingTask {
    embedder: Arc<Embedder>,
    inputs: Vec<Vec<u32>>,
    /// The length of the vectors.
    dimensions: usize,
    /// Receives the usage while the engine works.
    meter: UsageMeter,
    slot: Slot,
    /// Learns from the inputs.
    admission: Arc<Admission>,
}

impl EmbeddingTask {
    async fn run(mut self, reply: oneshot::Sender<Result<Embeddings, BackendError>>) {
        let result = self.embed(&reply).await;
        // Before the reply, so that a client that has received it finds the slot free.
        drop(self.slot);
        // Fails only if the client has disconnected.
        let _ = reply.send(result);
    }

    async fn embed(
        &mut self,
        reply: &oneshot::Sender<Result<Embeddings, BackendError>>,
    ) -> Result<Embeddings, BackendError> {
        let mut embeddings = Embeddings::new(Vec::with_capacity(self.inputs.len()), 0);
        for tokens in std::mem::take(&mut self.inputs) {
            if reply.is_closed() {
                break;
            }
            embeddings.prompt_tokens += tokens.len();
            let work = Work {
                texts: vec![tokens.len()],
                ..Work::default()
            };
            let start = Instant::now();
            self.slot.expect(self.admission.estimate(&work).reading);
            let replies = self.embedder.start(tokens).await?;
            // The engine has accepted the input.
            self.meter.report(Usage::new(embeddings.prompt_tokens, 0));
            let vector = self.embedder.vector(replies).await?;
            self.admission.costs().learn_reading(&work, start.elapsed());
            embeddings.vectors.push(self.cut(vector)?);
        }
        Ok(embeddings)
    }

    /// The first numbers of a vector, as a vector of length 1.
    fn cut(&self, mut vector: Vec<f32>) -> Result<Vec<f32>, BackendError> {
        vector.truncate(self.dimensions);
        let squares = vector.iter().map(|number| f64::from(*number).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        if vector.len() < self.dimensions || !norm.is_normal() {
            engine::log("embedding", "the vector is too short, zero or not finite");
            return Err(BackendError::Engine);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 1")]
        let scaled = |number| (f64::from(number) / norm) as f32;
        Ok(vector.into_iter().map(scaled).collect())
    }
}
