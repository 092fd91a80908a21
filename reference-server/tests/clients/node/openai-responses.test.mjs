// The responses API with OpenAI's SDK.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";

import {
  apiKey,
  baseURL,
  dataUrl,
  eachTarget,
  exhaust,
  limitedKey,
  toolName,
  unknownKey,
  waitForRunningChats,
  weather,
} from "./checks.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });

const tools = [zodResponsesFunction({ name: toolName, parameters: weather })];
const forced = {
  input: "hello",
  tools,
  tool_choice: { type: "function", name: toolName },
  max_output_tokens: 128,
};

eachTarget("openai (Node), Responses", (model) => {
  // The API requires at least 16 tokens.
  const ask = (fields, sdk = client) =>
    sdk.responses.create({ model, input: "hello", max_output_tokens: 16, ...fields });

  test("chat", async () => {
    const answer = await ask();
    assert.equal(answer.status, "incomplete");
    assert.equal(answer.incomplete_details.reason, "max_output_tokens");
    assert.ok(answer.output_text);
    // Its own output is accepted in the next request.
    const message = { role: "user", content: "hello" };
    await ask({ input: [message, ...answer.output, message] });
  });

  test("stream", async () => {
    const stream = client.responses.stream({
      model,
      input: "hello",
      max_output_tokens: 16,
      temperature: 0,
    });
    let streamed = "";
    stream.on("response.output_text.delta", (event) => (streamed += event.delta));
    const response = await stream.finalResponse();
    assert.equal(streamed, (await ask({ temperature: 0 })).output_text);
    assert.ok(response.usage.output_tokens > 0);
  });

  test("image", async () => {
    const image = { type: "input_image", image_url: dataUrl(), detail: "auto" };
    const content = [{ type: "input_text", text: "What is this?" }, image];
    const withImage = await ask({ input: [{ role: "user", content }] });
    const without = await ask({ input: [{ role: "user", content: content.slice(0, 1) }] });
    assert.ok(withImage.usage.input_tokens > without.usage.input_tokens);
  });

  /** Validates the call of an answer, and sends its result as the next item. */
  const checkCall = async (answer) => {
    assert.equal(answer.status, "completed");
    assert.equal(answer.output.length, 1);
    const [call] = answer.output;
    assert.equal(call.type, "function_call");
    weather.parse(call.parsed_arguments);
    const message = { role: "user", content: "hello" };
    const result = { type: "function_call_output", call_id: call.call_id, output: "20 degrees" };
    assert.ok((await ask({ input: [message, call, result] })).output_text);
  };

  test("tools", async () => {
    await checkCall(await client.responses.parse({ model, ...forced }));
  });

  test("streamed_tools", async () => {
    const stream = client.responses.stream({ model, ...forced });
    let parts = 0;
    stream.on("response.function_call_arguments.delta", () => parts++);
    const answer = await stream.finalResponse();
    // The arguments arrive in parts.
    assert.ok(parts > 1);
    await checkCall(answer);
  });

  test("auto_tools", async () => {
    const answer = await ask({ tools });
    // The model may call the tool; one with random weights does not.
    assert.ok(answer.output_text);
    assert.ok(answer.usage.input_tokens > (await ask()).usage.input_tokens);
  });

  test("json", async () => {
    const answer = await client.responses.parse({
      model,
      input: "hello",
      max_output_tokens: 128,
      text: { format: zodTextFormat(weather, "weather") },
    });
    weather.parse(answer.output_parsed);
    // Its own output is accepted in the next request.
    const message = { role: "user", content: "hello" };
    await ask({ input: [message, ...answer.output, message] });
  });

  test("usage", async () => {
    const { usage } = await ask();
    assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
    assert.ok(usage.output_tokens > 0);
  });

  test("unknown_model", async () => {
    await assert.rejects(ask({ model: "gpt-4o" }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "MODEL_NOT_FOUND");
      return true;
    });
  });

  test("bad_key", async () => {
    const unauthenticated = client.withOptions({ apiKey: unknownKey });
    await assert.rejects(ask({}, unauthenticated), OpenAI.AuthenticationError);
  });

  test("rate_limit", async () => {
    const limited = client.withOptions({ apiKey: limitedKey });
    const error = await exhaust(() => ask({}, limited));
    assert.ok(error instanceof OpenAI.RateLimitError, error);
    assert.ok((await ask({}, limited.withOptions({ maxRetries: 2 }))).output_text);
  });

  test("disconnect", async () => {
    const stream = await ask({ stream: true, max_output_tokens: 8_000 });
    await stream[Symbol.asyncIterator]().next();
    await waitForRunningChats(model, 1);
    stream.controller.abort();
    await waitForRunningChats(model, 0);
  });
});
