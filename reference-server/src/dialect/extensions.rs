//! Documented extensions of OpenAI's API by other servers.
//!
//! A request may have them. They reach a backend that accepts them; for others, the response
//! header `x-stockade-ignored` lists them.

/// The extensions of vLLM, SGLang, llama.cpp and TGI that affect only the request itself and
/// neither the server nor the format of the response. Those that the canonical request has
/// (`top_k`, `min_p`, `repetition_penalty`) are not listed.
pub(super) const NAMES: &[&str] = &[
    "add_generation_prompt",
    "allowed_token_ids",
    "bad_words",
    "cache_control",
    "chat_template_kwargs",
    "continue_final_message",
    "ebnf",
    "grammar",
    "guided_choice",
    "guided_grammar",
    "guided_json",
    "guided_regex",
    "guided_whitespace_pattern",
    "ignore_eos",
    "include_reasoning",
    "include_stop_str_in_output",
    "length_penalty",
    "min_tokens",
    "mm_processor_kwargs",
    "priority",
    "reasoning_format",
    "regex",
    "repeat_penalty",
    "separate_reasoning",
    "skip_special_tokens",
    "spaces_between_special_tokens",
    "stop_token_ids",
    "stream_reasoning",
    "structured_outputs",
    "think",
    "top_a",
    "top_n_sigma",
    "truncate_prompt_tokens",
    "typical_p",
    "use_beam_search",
    "xtc_probability",
    "xtc_threshold",
];

/// Whether this is the name of a documented extension.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}
