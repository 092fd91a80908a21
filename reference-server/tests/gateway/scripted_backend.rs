//! A backend that answers with these events and keeps the chats that it gets.

use std::sync::{Arc, Mutex};

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
use stockade_server::{
    backend::{Backend, BackendError, Generation, Phase, Status, UsageMeter},
    chat::{ChatRequest, Event, FinishReason, Usage},
};

#[derive(Clone, Default)]
pub(crate) struct ScriptedBackend {
    events: Vec<Event>,
    /// The field that makes it refuse every chat.
    unsupported: Option<&'static str>,
    chats: Arc<Mutex<Vec<ChatRequest>>>,
}

impl ScriptedBackend {
    /// Answers with these events, before the last ones.
    pub(crate) fn new(events: impl IntoIterator<Item = Event>, reason: FinishReason) -> Self {
        let end = [
            Event::Finish { choice: 0, reason },
            Event::Done(Usage::new(3, 5)),
        ];
        Self {
            events: events.into_iter().chain(end).collect(),
            ..Self::default()
        }
    }

    /// Refuses every chat because of this field.
    pub(crate) fn refusing(param: &'static str) -> Self {
        Self {
            unsupported: Some(param),
            ..Self::default()
        }
    }

    /// Answers with this text.
    pub(crate) fn text(text: &str) -> Self {
        Self::new([Event::text(text)], FinishReason::Stop)
    }

    /// Calls the tool `click` with `{"x": 1}`, in two pieces.
    pub(crate) fn call() -> Self {
        let arguments = |text: &str| Event::ToolArguments {
            choice: 0,
            call: 0,
            text: text.to_owned(),
        };
        let call = Event::ToolCall {
            choice: 0,
            call: 0,
            id: "call_1".to_owned(),
            name: "click".to_owned(),
        };
        Self::new(
            [call, arguments("{\"x\":"), arguments("1}")],
            FinishReason::ToolCalls,
        )
    }

    /// The only chat.
    pub(crate) fn chat(&self) -> ChatRequest {
        let mut chats = self.chats.lock().unwrap();
        assert_eq!(chats.len(), 1);
        chats.remove(0)
    }
}

impl Backend for ScriptedBackend {
    fn status(&self) -> Status {
        Status {
            phase: Phase::Ready,
            device: "none".to_owned(),
            bytes: None,
            memory: None,
        }
    }

    fn chat(
        &self,
        request: ChatRequest,
        _meter: UsageMeter,
    ) -> BoxFuture<'static, Result<Generation, BackendError>> {
        if let Some(param) = self.unsupported {
            let param = param.to_owned();
            return async move { Err(BackendError::Unsupported { param }) }.boxed();
        }
        self.chats.lock().unwrap().push(request);
        let events = self.events.clone().into_iter().map(Ok);
        async move { Ok(stream::iter(events).boxed()) }.boxed()
    }

    fn supports(&self, param: &str) -> bool {
        self.unsupported != Some(param)
    }

    fn count_tokens(
        &self,
        request: ChatRequest,
    ) -> BoxFuture<'static, Result<usize, BackendError>> {
        let count = request.messages.len() + request.tools.len();
        async move { Ok(count) }.boxed()
    }
}
