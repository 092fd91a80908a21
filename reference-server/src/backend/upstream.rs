//! A backend that passes requests to upstreams.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::{StreamExt, future::BoxFuture, stream};
use http::Method;
use http_body_util::BodyExt;
use stockade_core::refusal::Refusal;
use stockade_server_config::ApiConfig;
use tokio::time::Instant;

use super::{Backend, BackendError, Generation, Load, Phase, RelayApi, Status, UsageMeter};
use crate::{
    chat::{ChatRequest, Event, FinishReason, Usage},
    dialect::chat::{ReadError, ResponseReader, write_request},
    fairness,
    relay::{
        RequestScan, error_response, has_type, invalid_response, request_headers, upstream_refusal,
    },
    upstream::{GroupStatus, RequestBody, UpstreamBody, UpstreamGroup, UpstreamRequest},
};

/// A model that upstreams serve.
#[derive(Clone, Debug)]
pub struct Upstream {
    name: Arc<str>,
    group: UpstreamGroup,
    apis: Arc<[ApiConfig]>,
    timeout: Duration,
}

impl Upstream {
    /// The upstreams of the model with this name. They have these APIs; a chat that is translated
    /// takes at most the timeout.
    pub fn new(name: &str, group: UpstreamGroup, apis: &[ApiConfig], timeout: Duration) -> Self {
        Self {
            name: name.into(),
            group,
            apis: apis.into(),
            timeout,
        }
    }
}

impl Backend for Upstream {
    fn status(&self) -> Status {
        let status = self.group.status();
        Status {
            phase: match status.is_available() {
                true => Phase::Ready,
                false => Phase::Failed(reason(&status)),
            },
            device: "upstream".to_owned(),
            bytes: None,
            memory: None,
        }
    }

    fn load(&self) -> Option<Load> {
        let upstreams = self.group.status().upstreams;
        Some(Load {
            draining: None,
            restarts: 0,
            running: upstreams.iter().map(|upstream| upstream.in_flight).sum(),
            waiting: upstreams.iter().map(|upstream| upstream.waiting).sum(),
        })
    }

    fn relay(&self, api: RelayApi) -> Option<&UpstreamGroup> {
        self.apis.contains(&api.setting()).then_some(&self.group)
    }

    fn upstreams(&self) -> Option<GroupStatus> {
        Some(self.group.status())
    }

    fn chat(
        &self,
        request: ChatRequest,
        meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Generation, BackendError>> {
        let upstream = self.clone();
        Box::pin(async move { upstream.translate(request, meter).await })
    }

    fn accepts_extension(&self, _name: &str) -> bool {
        true
    }

    fn has_api(&self, api: RelayApi) -> bool {
        // These are translated.
        let is_chat = matches!(api, RelayApi::Messages | RelayApi::Responses);
        self.relay(api).is_some() || is_chat && self.relay(RelayApi::Chat).is_some()
    }

    /// The upstream decides about all fields that a translation has.
    fn supports(&self, param: &str) -> bool {
        match param {
            "prompt" => self.apis.contains(&ApiConfig::Completions),
            "count_tokens" => self.apis.contains(&ApiConfig::Messages),
            _ => true,
        }
    }
}

impl Upstream {
    /// Sends the chat as chat completions, always as a stream: an upstream stops a stream whose
    /// client leaves.
    async fn translate(
        self,
        request: ChatRequest,
        meter: UsageMeter,
    ) -> Result<Generation, BackendError> {
        if request.raw_prompt.is_some() {
            let param = "prompt".to_owned();
            return Err(BackendError::Unsupported { param });
        }
        let bytes = write_request(&request, &self.name, true);
        let stops = request.sampling.stop;
        let scan = RequestScan::new(&bytes, RelayApi::Chat, false);
        let scan = scan.map_err(BackendError::Upstream)?;
        let context = meter.context().cloned().unwrap_or_default();
        let request = UpstreamRequest {
            method: Method::POST,
            path: RelayApi::Chat.path().into(),
            at_root: false,
            headers: request_headers(&request.trace_headers, &context, true),
            body: RequestBody {
                bytes,
                model: Some(scan.model_at),
                patch: None,
            },
            share: fairness::share(&context),
            streaming: true,
            deadline: Instant::now() + self.timeout,
        };
        let prompt_tokens = context
            .model_request()
            .map_or(0, |model| model.prompt_tokens);
        let response = self.group.send(request).await;
        let response = response.map_err(|error| refused(upstream_refusal(&error)))?;
        if !response.status.is_success() {
            return Err(refused(error_response(response).await));
        }
        if !has_type(&response.headers, "text/event-stream") {
            return Err(refused(invalid_response()));
        }
        let events = Events {
            body: response.body,
            reader: ResponseReader::default(),
            queued: VecDeque::new(),
            has_ended: false,
            estimate: Usage {
                prompt_tokens: usize::try_from(prompt_tokens).unwrap_or(usize::MAX),
                is_estimate: true,
                ..Usage::default()
            },
            meter,
            stops,
        };
        Ok(stream::unfold(events, Events::next).boxed())
    }
}

fn refused(refusal: Refusal) -> BackendError {
    BackendError::Upstream(refusal)
}

/// The events of an upstream's stream.
struct Events {
    body: UpstreamBody,
    reader: ResponseReader,
    queued: VecDeque<Event>,
    has_ended: bool,
    /// An event is about a token.
    estimate: Usage,
    meter: UsageMeter,
    /// The stop sequences of the request.
    stops: Vec<String>,
}

impl Events {
    async fn next(mut self) -> Option<(Result<Event, BackendError>, Self)> {
        loop {
            if let Some(event) = self.queued.pop_front() {
                return Some((Ok(self.account(event)), self));
            }
            if self.has_ended {
                return None;
            }
            if let Err(refusal) = self.read().await {
                self.has_ended = true;
                return Some((Err(refused(refusal)), self));
            }
        }
    }

    async fn read(&mut self) -> Result<(), Refusal> {
        let invalid = |error: ReadError| {
            tracing::warn!(%error, "cannot read the response of an upstream");
            invalid_response()
        };
        let events = match self.body.frame().await {
            None => {
                self.has_ended = true;
                self.reader.finish().map_err(invalid)?
            }
            Some(Ok(frame)) => match frame.data_ref() {
                Some(bytes) => self.reader.push(bytes).map_err(invalid)?,
                None => Vec::new(),
            },
            Some(Err(error)) => return Err(upstream_refusal(&error)),
        };
        self.has_ended |= events.iter().any(|event| matches!(event, Event::Done(_)));
        self.queued.extend(events);
        Ok(())
    }

    /// Meters an event; the usage is an estimate until the upstream reports it. Some upstreams
    /// write other texts in place of a stop sequence.
    fn account(&mut self, event: Event) -> Event {
        match event {
            Event::Done(_) if !self.reader.has_usage() => Event::Done(self.estimate),
            Event::Finish {
                choice,
                reason: FinishReason::StopSequence(stop),
            } if !self.stops.contains(&stop) => Event::Finish {
                choice,
                reason: FinishReason::Stop,
            },
            Event::Text { .. } | Event::Reasoning { .. } | Event::ToolArguments { .. } => {
                self.estimate.completion_tokens += 1;
                self.meter.report(self.estimate);
                event
            }
            event => event,
        }
    }
}

/// Why no upstream is available.
fn reason(status: &GroupStatus) -> String {
    let errors = status.upstreams.iter().map(|upstream| {
        let error = upstream.last_error.as_deref().unwrap_or("not available");
        format!("{}: {error}", upstream.url)
    });
    errors.collect::<Vec<_>>().join("; ")
}
