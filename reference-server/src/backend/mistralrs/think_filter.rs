//! Separates the reasoning at the start of a text from the answer.

/// The tags around the reasoning of DeepSeek R1, Qwen3 and others.
const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Whether a model with this chat template reasons between the tags.
pub(super) fn uses_tags(template: &str) -> bool {
    template.contains(OPEN) && template.contains(CLOSE)
}

/// Whether a prompt ends inside the reasoning.
pub(super) fn is_open(prompt: &str) -> bool {
    prompt.trim_end().ends_with(OPEN)
}

/// Separates the reasoning of a text that arrives in pieces.
#[derive(Debug)]
pub(super) struct ThinkFilter {
    state: State,
    pending: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The text may start with the open tag.
    Start,
    Reasoning,
    /// Between the close tag and the answer.
    Gap,
    Answer,
}

/// A text and its reasoning.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Split {
    pub(super) reasoning: String,
    pub(super) answer: String,
}

impl ThinkFilter {
    /// A filter that passes everything as the answer.
    pub(super) fn disabled() -> Self {
        Self::with(State::Answer)
    }

    /// A filter; `is_open` if the prompt ends inside the reasoning.
    pub(super) fn new(is_open: bool) -> Self {
        Self::with(if is_open {
            State::Reasoning
        } else {
            State::Start
        })
    }

    fn with(state: State) -> Self {
        Self {
            state,
            pending: String::new(),
        }
    }

    /// Whether the text so far ends inside the reasoning.
    pub(super) fn is_reasoning(&self) -> bool {
        self.state == State::Reasoning
    }

    /// The length of the text that is held back, because it may be a tag.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Adds the next piece of text.
    pub(super) fn push(&mut self, piece: &str) -> Split {
        let mut split = Split::default();
        self.pending.push_str(piece);
        loop {
            match self.state {
                State::Start => {
                    let text = self.pending.trim_start();
                    if let Some(rest) = text.strip_prefix(OPEN) {
                        self.pending = rest.to_owned();
                        self.state = State::Reasoning;
                    } else if OPEN.starts_with(text) {
                        return split;
                    } else {
                        self.state = State::Answer;
                    }
                }
                State::Reasoning => {
                    if let Some(at) = self.pending.find(CLOSE) {
                        split.reasoning.push_str(&self.pending[..at]);
                        self.pending.drain(..at + CLOSE.len());
                        self.state = State::Gap;
                    } else {
                        let kept = partial_len(&self.pending, CLOSE);
                        let rest = self.pending.split_off(self.pending.len() - kept);
                        split.reasoning.push_str(&self.pending);
                        self.pending = rest;
                        return split;
                    }
                }
                State::Gap => {
                    let start = self.pending.len() - self.pending.trim_start().len();
                    self.pending.drain(..start);
                    if self.pending.is_empty() {
                        return split;
                    }
                    self.state = State::Answer;
                }
                State::Answer => {
                    split.answer.push_str(&std::mem::take(&mut self.pending));
                    return split;
                }
            }
        }
    }

    /// Returns what is held back at the end.
    pub(super) fn finish(&mut self) -> Split {
        let rest = std::mem::take(&mut self.pending);
        match self.state {
            State::Reasoning => Split {
                reasoning: rest,
                ..Split::default()
            },
            _ => Split {
                answer: rest,
                ..Split::default()
            },
        }
    }
}

/// The length of the longest suffix of `text` that is a proper prefix of `tag`.
pub(super) fn partial_len(text: &str, tag: &str) -> usize {
    let lengths = tag.char_indices().map(|(at, _)| at);
    let fits = |at: &usize| text.ends_with(&tag[..*at]);
    lengths.filter(fits).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result for each size of pieces, which must not differ.
    fn split(is_open: bool, text: &str) -> (String, String) {
        let results = [1, 2, 3, 100].map(|size| {
            let mut filter = ThinkFilter::new(is_open);
            let (mut reasoning, mut answer) = (String::new(), String::new());
            let bytes: Vec<char> = text.chars().collect();
            let mut add = |split: Split| {
                reasoning.push_str(&split.reasoning);
                answer.push_str(&split.answer);
            };
            for piece in bytes.chunks(size) {
                add(filter.push(&piece.iter().collect::<String>()));
            }
            add(filter.finish());
            (reasoning, answer)
        });
        assert!(results.iter().all(|result| *result == results[0]));
        results[0].clone()
    }

    #[test]
    fn separates_the_reasoning() {
        for (is_open, text, reasoning, answer) in [
            (false, "<think>a < b</think>\n\nyes", "a < b", "yes"),
            (false, "\n<think></think>yes", "", "yes"),
            (true, "a </think> yes", "a ", "yes"),
            (true, "a </thin", "a </thin", ""),
            (
                false,
                "no <think>tags</think>",
                "",
                "no <think>tags</think>",
            ),
            (false, " <thin", "", " <thin"),
            (false, "", "", ""),
            (
                false,
                "<think>a</think>b<think>c</think>",
                "a",
                "b<think>c</think>",
            ),
        ] {
            let expected = (reasoning.to_owned(), answer.to_owned());
            assert_eq!(split(is_open, text), expected, "{text:?}");
        }
    }

    #[test]
    fn passes_everything_if_disabled() {
        let mut filter = ThinkFilter::disabled();
        let split = filter.push("<think>a");
        assert_eq!(
            (split.reasoning.as_str(), split.answer.as_str()),
            ("", "<think>a")
        );
        assert_eq!(filter.held(), 0);
    }
}
