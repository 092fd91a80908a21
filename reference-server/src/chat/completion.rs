//! A completion: the collected events of a generation.

use super::{Event, FinishReason, ImageReport, TokenLogprob, ToolCall, Usage};

/// The collected events of a generation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The choices, by their index.
    pub choices: Vec<Choice>,
    /// What the model sees of the images.
    pub images: Option<ImageReport>,
    /// The token usage; `None` before [`Event::Done`].
    pub usage: Option<Usage>,
}

/// A choice of a completion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// The text.
    pub text: String,
    /// The reasoning before the text.
    pub reasoning: String,
    /// The log probabilities of the tokens of the text, if the request asked for them.
    pub logprobs: Vec<TokenLogprob>,
    /// The tool calls.
    pub tool_calls: Vec<ToolCall>,
    /// Why the choice ended; `None` if it has not.
    pub finish: Option<FinishReason>,
}

impl Completion {
    /// Adds an event.
    pub fn push(&mut self, event: Event) {
        match event {
            Event::Images(images) => self.images = Some(images),
            Event::Text {
                choice,
                text,
                logprobs,
            } => {
                let choice = self.choice(choice);
                choice.text.push_str(&text);
                choice.logprobs.extend(logprobs);
            }
            Event::Reasoning { choice, text } => self.choice(choice).reasoning.push_str(&text),
            Event::ToolCall {
                choice,
                call,
                id,
                name,
            } => {
                let call = self.choice(choice).tool_call(call);
                call.id = id;
                call.name = name;
            }
            Event::ToolArguments { choice, call, text } => {
                self.choice(choice)
                    .tool_call(call)
                    .arguments
                    .push_str(&text);
            }
            Event::Finish { choice, reason } => self.choice(choice).finish = Some(reason),
            Event::Done(usage) => self.usage = Some(usage),
        }
    }

    /// Whether nothing has been generated.
    pub(crate) fn is_empty(&self) -> bool {
        let is_empty = |choice: &Choice| {
            choice.text.is_empty() && choice.reasoning.is_empty() && choice.tool_calls.is_empty()
        };
        self.choices.iter().all(is_empty)
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        at(&mut self.choices, index)
    }
}

impl Choice {
    fn tool_call(&mut self, index: u32) -> &mut ToolCall {
        at(&mut self.tool_calls, index)
    }
}

/// The maximum index of a choice or call; a larger one counts as this.
const MAX_INDEX: u32 = 127;

/// The element at an index, which is created if it does not exist.
fn at<T>(list: &mut Vec<T>, index: u32) -> &mut T
where
    T: Default,
{
    let index = index.min(MAX_INDEX) as usize;
    if list.len() <= index {
        list.resize_with(index + 1, T::default);
    }
    &mut list[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collects_the_events_of_each_choice() {
        let mut completion = Completion::default();
        for event in [
            Event::text("a"),
            Event::Text {
                choice: 1,
                text: "x".to_owned(),
                logprobs: Vec::new(),
            },
            Event::text("b"),
            Event::ToolCall {
                choice: 0,
                call: 0,
                id: "call_1".to_owned(),
                name: "click".to_owned(),
            },
            Event::ToolArguments {
                choice: 0,
                call: 0,
                text: "{\"x\":".to_owned(),
            },
            Event::ToolArguments {
                choice: 0,
                call: 0,
                text: "1}".to_owned(),
            },
            Event::Finish {
                choice: 0,
                reason: FinishReason::ToolCalls,
            },
            Event::Done(Usage::new(3, 4)),
        ] {
            completion.push(event);
        }
        assert_eq!(completion.usage, Some(Usage::new(3, 4)));
        let [first, second] = completion.choices.as_slice() else {
            panic!("{completion:?}");
        };
        assert_eq!(first.text, "ab");
        assert_eq!(first.tool_calls[0].arguments, r#"{"x":1}"#);
        assert_eq!(first.finish, Some(FinishReason::ToolCalls));
        assert_eq!((second.text.as_str(), &second.finish), ("x", &None));
    }

    #[test]
    fn an_index_from_an_upstream_is_bounded() {
        let mut completion = Completion::default();
        completion.push(Event::Finish {
            choice: u32::MAX,
            reason: FinishReason::Stop,
        });
        assert_eq!(completion.choices.len(), 128);
    }
}
