//! The schemas of requests and responses. The types exist for their schemas only: the server reads
//! requests incrementally, and writes responses from borrowed values.

#![allow(dead_code, reason = "only the schemas of these types are used")]

use std::collections::HashMap;

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr, Schema,
        schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, SchemaType, Type},
    },
};

/// All schemas, by their names.
pub(super) fn all() -> Vec<(String, RefOr<Schema>)> {
    let mut schemas = Vec::new();
    add::<ChatRequest>(&mut schemas);
    add::<ChatCompletion>(&mut schemas);
    add::<ResponsesRequest>(&mut schemas);
    add::<ResponsesResponse>(&mut schemas);
    add::<MessagesRequest>(&mut schemas);
    add::<MessagesResponse>(&mut schemas);
    add::<CountTokensRequest>(&mut schemas);
    add::<CountTokensResponse>(&mut schemas);
    add::<AnthropicError>(&mut schemas);
    add::<EmbeddingsRequest>(&mut schemas);
    add::<EmbeddingsResponse>(&mut schemas);
    add::<TokenizeRequest>(&mut schemas);
    add::<TokenizeResponse>(&mut schemas);
    add::<CompletionRequest>(&mut schemas);
    add::<Completion>(&mut schemas);
    add::<RerankRequest>(&mut schemas);
    add::<RerankResponse>(&mut schemas);
    add::<ModelList>(&mut schemas);
    add::<Version>(&mut schemas);
    add::<Health>(&mut schemas);
    add::<Error>(&mut schemas);
    schemas
}

fn add<T>(schemas: &mut Vec<(String, RefOr<Schema>)>)
where
    T: ToSchema,
{
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

/// Up to four stop sequences, as one text or several. Their limit is 256 bytes, which a schema
/// cannot express: characters have up to four.
fn stop() -> Schema {
    let text = || {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
    };
    let texts = ArrayBuilder::new().items(text()).max_items(Some(4));
    let null = ObjectBuilder::new().schema_type(Type::Null);
    Schema::OneOf(
        OneOfBuilder::new()
            .item(null)
            .item(text())
            .item(texts)
            .build(),
    )
}

/// Token ids, with numbers from -100 to 100.
fn logit_bias() -> Schema {
    let id = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9]{1,9}$"));
    let bias = ObjectBuilder::new()
        .schema_type(Type::Number)
        .minimum(Some(-100))
        .maximum(Some(100));
    let biases = ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([Type::Object, Type::Null]))
        .property_names(Some(id.build()))
        .additional_properties(Some(bias))
        .build();
    Schema::Object(biases)
}

/// A chat.
#[derive(ToSchema)]
struct ChatRequest {
    /// The name of a model, see `/v1/models`.
    model: String,
    #[schema(min_items = 1, max_items = 1000)]
    messages: Vec<Message>,
    /// The maximum number of tokens of the completion.
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    /// 0 is greedy.
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(exclusive_minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    #[schema(minimum = -1, maximum = 100000)]
    top_k: Option<i64>,
    #[schema(minimum = 0, maximum = 1)]
    min_p: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    presence_penalty: Option<f64>,
    #[schema(exclusive_minimum = 0, maximum = 10)]
    repetition_penalty: Option<f64>,
    /// Token ids, with numbers from -100 to 100.
    #[schema(schema_with = logit_bias)]
    logit_bias: Option<HashMap<String, f64>>,
    /// The same seed, request and model give the same completion.
    seed: Option<i64>,
    /// The number of choices.
    #[schema(minimum = 1, maximum = 8)]
    n: Option<u32>,
    /// Up to four texts.
    #[schema(schema_with = stop)]
    stop: Option<TextOrTexts>,
    stream: Option<bool>,
    /// Only with `stream`.
    stream_options: Option<StreamOptions>,
    logprobs: Option<bool>,
    /// Only with `logprobs`.
    #[schema(minimum = 0, maximum = 20)]
    top_logprobs: Option<u32>,
    response_format: Option<ResponseFormat>,
    #[schema(max_items = 128)]
    tools: Option<Vec<Tool>>,
    tool_choice: Option<ToolChoice>,
    parallel_tool_calls: Option<bool>,
    reasoning_effort: Option<ReasoningEffort>,
}

/// A message of a chat.
#[derive(ToSchema)]
#[serde(tag = "role", rename_all = "lowercase")]
enum Message {
    System {
        content: MessageContent,
    },
    Developer {
        content: MessageContent,
    },
    User {
        content: MessageContent,
    },
    Assistant {
        /// Required without calls.
        content: Option<MessageContent>,
        /// The calls of an earlier answer.
        tool_calls: Option<Vec<EarlierCall>>,
    },
    Tool {
        content: MessageContent,
        /// The call that the message answers.
        tool_call_id: String,
    },
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ReasoningEffort {
    None,
    Minimal,
    Low,
    Medium,
    High,
}

#[derive(ToSchema)]
#[serde(untagged)]
enum MessageContent {
    Text(String),
    /// Of the types `text`, `image_url` (a data URL) and `image`; of messages in Anthropic's
    /// format, `text`, `image`, `tool_use` and `tool_result`.
    Parts(Vec<Value>),
}

#[derive(ToSchema)]
#[serde(untagged)]
enum TextOrTexts {
    One(String),
    Several(Vec<String>),
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: JsonSchema },
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct JsonSchema {
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,128}$")]
    name: String,
    description: Option<String>,
    schema: Option<HashMap<String, Value>>,
    strict: Option<bool>,
}

#[derive(ToSchema)]
struct Tool {
    r#type: ToolType,
    function: Function,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ToolType {
    Function,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct Function {
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,128}$")]
    name: String,
    description: Option<String>,
    /// The JSON schema of the arguments.
    parameters: Option<HashMap<String, Value>>,
    strict: Option<bool>,
}

/// Which tools the model may call, or has to call; only with `tools`.
#[derive(ToSchema)]
#[serde(untagged)]
enum ToolChoice {
    Mode(ToolChoiceMode),
    Named(NamedTool),
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum ToolChoiceMode {
    None,
    Auto,
    Required,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct NamedTool {
    r#type: ToolType,
    function: FunctionName,
}

#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
struct FunctionName {
    name: String,
}

/// A call of an earlier answer.
#[derive(ToSchema)]
struct EarlierCall {
    id: String,
    r#type: Option<ToolType>,
    function: EarlierFunction,
}

#[derive(ToSchema)]
struct EarlierFunction {
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,128}$")]
    name: String,
    /// JSON.
    arguments: Option<String>,
}

#[derive(ToSchema)]
struct ToolCall {
    id: String,
    r#type: ToolType,
    function: CalledFunction,
}

#[derive(ToSchema)]
struct CalledFunction {
    name: String,
    /// JSON.
    arguments: String,
}

/// A completion. Models of upstreams may add fields.
#[derive(ToSchema)]
struct ChatCompletion {
    id: String,
    /// `chat.completion`.
    object: String,
    created: u64,
    /// The name of the model; of an upstream, its own name.
    model: String,
    choices: Vec<Choice>,
    usage: Option<Usage>,
    /// Of a chat with images, if the model runs in this process.
    stockade: Option<SeenImages>,
}

#[derive(ToSchema)]
struct Choice {
    index: u32,
    message: AssistantMessage,
    logprobs: Option<Value>,
    /// `stop`, `length`, `tool_calls` or `content_filter`.
    finish_reason: Option<String>,
    /// The stop sequence that ended the text, as vLLM writes it.
    stop_reason: Option<String>,
}

#[derive(ToSchema)]
struct AssistantMessage {
    role: String,
    content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<ToolCall>>,
}

#[derive(ToSchema)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Option<PromptTokensDetails>,
}

#[derive(ToSchema)]
struct PromptTokensDetails {
    cached_tokens: Option<u64>,
    /// The tokens of images, if there are some and the model runs in this process.
    image_tokens: Option<u64>,
}

/// What the model sees of the images of a chat.
#[derive(ToSchema)]
struct SeenImages {
    images: Vec<ImageSize>,
    /// The number of older images that it does not see.
    dropped_images: Option<u64>,
    /// The space of coordinates in the answer: `model` or `original`.
    coordinates: String,
}

/// A size in pixels.
#[derive(ToSchema)]
struct ImageSize {
    width: u32,
    height: u32,
}

/// A conversation in the format of OpenAI's Responses.
#[derive(ToSchema)]
struct ResponsesRequest {
    model: String,
    input: ResponsesInput,
    instructions: Option<String>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<u32>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(exclusive_minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    stream: Option<bool>,
    /// Nothing is stored. The server does not read the field.
    store: Option<Value>,
    #[schema(max_items = 128)]
    tools: Option<Vec<Value>>,
    tool_choice: Option<Value>,
    parallel_tool_calls: Option<bool>,
    /// The format of the text.
    text: Option<Value>,
    reasoning: Option<Value>,
}

/// A text, or items of the types `message`, `function_call` and `function_call_output`.
#[derive(ToSchema)]
#[serde(untagged)]
enum ResponsesInput {
    Text(String),
    Items(Vec<Value>),
}

#[derive(ToSchema)]
struct ResponsesResponse {
    id: String,
    /// `response`.
    object: String,
    created_at: u64,
    /// `completed` or `incomplete`.
    status: String,
    model: String,
    output: Vec<Value>,
    usage: Option<Value>,
}

/// A conversation in Anthropic's format.
#[derive(ToSchema)]
struct MessagesRequest {
    model: String,
    #[schema(minimum = 1)]
    max_tokens: u32,
    #[schema(min_items = 1, max_items = 1000)]
    messages: Vec<AnthropicMessage>,
    /// A text, or blocks of the type `text`.
    system: Option<MessageContent>,
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f64>,
    #[schema(exclusive_minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    stop_sequences: Option<Vec<String>>,
    stream: Option<bool>,
    #[schema(max_items = 128)]
    tools: Option<Vec<AnthropicTool>>,
    tool_choice: Option<AnthropicToolChoice>,
}

#[derive(ToSchema)]
struct CountTokensRequest {
    model: String,
    #[schema(min_items = 1, max_items = 1000)]
    messages: Vec<AnthropicMessage>,
    system: Option<MessageContent>,
    #[schema(max_items = 128)]
    tools: Option<Vec<AnthropicTool>>,
}

#[derive(ToSchema)]
struct AnthropicTool {
    #[schema(pattern = "^[A-Za-z0-9_.-]{1,128}$")]
    name: String,
    description: Option<String>,
    /// The JSON schema of the input; without it, the tool has none.
    input_schema: Option<HashMap<String, Value>>,
}

/// Which tools the model may call, or has to call; only with `tools`.
#[derive(ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum AnthropicToolChoice {
    None,
    Auto {
        disable_parallel_tool_use: Option<bool>,
    },
    Any {
        disable_parallel_tool_use: Option<bool>,
    },
    Tool {
        name: String,
        disable_parallel_tool_use: Option<bool>,
    },
}

#[derive(ToSchema)]
struct AnthropicMessage {
    role: AnthropicRole,
    /// A text, or blocks of the types `text`, `image`, `tool_use` and `tool_result`.
    content: MessageContent,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum AnthropicRole {
    User,
    Assistant,
}

#[derive(ToSchema)]
struct MessagesResponse {
    id: String,
    /// `message`.
    r#type: String,
    /// `assistant`.
    role: String,
    model: String,
    content: Vec<Value>,
    /// `end_turn`, `max_tokens`, `stop_sequence` or `tool_use`.
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: AnthropicUsage,
}

#[derive(ToSchema)]
struct AnthropicUsage {
    input_tokens: u64,
    output_tokens: u64,
}

#[derive(ToSchema)]
struct CountTokensResponse {
    input_tokens: u64,
}

#[derive(ToSchema)]
struct AnthropicError {
    /// `error`.
    r#type: String,
    error: AnthropicErrorFields,
}

#[derive(ToSchema)]
struct AnthropicErrorFields {
    r#type: String,
    message: String,
}

/// Texts to embed.
#[derive(ToSchema)]
struct EmbeddingsRequest {
    model: String,
    input: EmbeddingInput,
    /// The length of the vectors, for models whose vectors can be cut.
    #[schema(minimum = 1, maximum = 65536)]
    dimensions: Option<u32>,
    /// `float` or `base64`.
    encoding_format: Option<EncodingFormat>,
}

/// Texts, or the ids of their tokens; at most 2048.
#[derive(ToSchema)]
#[serde(untagged)]
enum EmbeddingInput {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokensOfTexts(Vec<Vec<u32>>),
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
enum EncodingFormat {
    Float,
    Base64,
}

/// The embeddings. Models of upstreams may lack fields and add others.
#[derive(ToSchema)]
struct EmbeddingsResponse {
    /// `list`.
    object: String,
    data: Vec<Embedding>,
    model: String,
    usage: EmbeddingsUsage,
}

#[derive(ToSchema)]
struct Embedding {
    /// `embedding`.
    object: String,
    /// The index of the input.
    index: u32,
    /// Numbers; with the format `base64`, a string with the little-endian 32-bit floats.
    embedding: Value,
}

#[derive(ToSchema)]
struct EmbeddingsUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// A text to split.
#[derive(ToSchema)]
struct TokenizeRequest {
    model: String,
    prompt: String,
}

/// The tokens of the text. Models of upstreams may add fields.
#[derive(ToSchema)]
struct TokenizeResponse {
    count: u64,
    max_model_len: u64,
    tokens: Vec<Value>,
}

/// A text to continue.
#[derive(ToSchema)]
struct CompletionRequest {
    model: String,
    prompt: String,
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(exclusive_minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    seed: Option<i64>,
    /// Up to four texts.
    #[schema(schema_with = stop)]
    stop: Option<TextOrTexts>,
    stream: Option<bool>,
}

/// A continued text.
#[derive(ToSchema)]
struct Completion {
    id: String,
    /// `text_completion`.
    object: String,
    created: u64,
    model: String,
    choices: Vec<Value>,
    usage: Option<Usage>,
}

/// Documents to order.
#[derive(ToSchema)]
struct RerankRequest {
    model: String,
    query: String,
    #[schema(min_items = 1, max_items = 1000)]
    documents: Vec<String>,
    #[schema(minimum = 1, maximum = 1000)]
    top_n: Option<u32>,
}

/// The order of the documents, as the upstream returns it.
#[derive(ToSchema)]
struct RerankResponse {
    results: Vec<Value>,
}

#[derive(ToSchema)]
struct ModelList {
    /// `list`.
    object: String,
    data: Vec<Model>,
}

#[derive(ToSchema)]
struct Model {
    id: String,
    /// `model`.
    object: String,
    created: u64,
    owned_by: String,
    /// What only this server reports.
    stockade: Option<ModelDetails>,
}

#[derive(ToSchema)]
struct ModelDetails {
    images: ImageSupport,
}

/// What a model in this process does with images.
#[derive(ToSchema)]
struct ImageSupport {
    /// `smart_resize`.
    resize: String,
    /// The sides that the model sees are multiples of it, in pixels.
    factor: u32,
    /// Smaller images are scaled up.
    min_pixels: u64,
    /// Larger images are scaled down.
    max_pixels: u64,
    /// The maximum number of images that the model sees in a chat.
    max_images: u32,
    /// `refuse` or `drop`.
    older_images: String,
    /// The space of coordinates in answers: `model` or `original`.
    coordinates: String,
}

#[derive(ToSchema)]
struct Version {
    version: String,
}

#[derive(ToSchema)]
struct Health {
    /// `live`, `ready`, `degraded`, `loading`, `failed`, `unloaded`, `limits_unavailable` or
    /// `keys_stale`.
    status: String,
}

/// The error of a request. `code` is one of the codes of the documentation.
#[derive(ToSchema)]
struct Error {
    error: ErrorFields,
}

#[derive(ToSchema)]
struct ErrorFields {
    message: String,
    r#type: String,
    /// The path of the field that is invalid.
    param: Option<String>,
    code: Option<String>,
}
