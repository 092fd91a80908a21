//! The names that the fields of the canonical chat have in each dialect, for errors of a model.

use super::Dialect;

impl Dialect {
    /// The path in a request of this dialect for a path in the canonical chat, which has the names
    /// of chat completions.
    pub(crate) fn param(self, param: String) -> String {
        let (messages, names): (_, &[_]) = match self {
            Self::Chat => return param,
            Self::Completions => ("prompt", &[]),
            Self::Responses => (
                "input",
                &[
                    ("logprobs", "top_logprobs"),
                    ("max_tokens", "max_output_tokens"),
                    ("reasoning_effort", "reasoning.effort"),
                    ("response_format", "text.format"),
                    ("response_format.json_schema.schema", "text.format.schema"),
                ],
            ),
            Self::Messages | Self::CountTokens => (
                "messages",
                &[
                    ("reasoning_effort", "output_config.effort"),
                    ("response_format", "output_config.format"),
                    (
                        "response_format.json_schema.schema",
                        "output_config.format.schema",
                    ),
                    ("stop", "stop_sequences"),
                ],
            ),
        };
        // The indices differ: instructions are a message, and a message may have been several items.
        if param == "messages" || param.starts_with("messages[") {
            return messages.to_owned();
        }
        let name = names.iter().find(|(canonical, _)| *canonical == param);
        name.map_or(param, |(_, name)| (*name).to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_field_that_the_client_has_sent() {
        for (dialect, param, expected) in [
            (Dialect::Chat, "messages[1].content", "messages[1].content"),
            (Dialect::Completions, "messages", "prompt"),
            (Dialect::Responses, "messages[1].content", "input"),
            (Dialect::Responses, "response_format", "text.format"),
            (Dialect::Responses, "tools", "tools"),
            (Dialect::Messages, "messages[1].content", "messages"),
            (
                Dialect::Messages,
                "reasoning_effort",
                "output_config.effort",
            ),
        ] {
            assert_eq!(dialect.param(param.to_owned()), expected, "{dialect:?}");
        }
    }
}
