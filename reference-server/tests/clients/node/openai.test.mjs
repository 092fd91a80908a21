// The chat API with OpenAI's SDK.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";

import {
  apiKey,
  baseURL,
  dataUrl,
  eachTarget,
  exhaust,
  hello,
  limitedKey,
  toolName,
  unknownKey,
  waitForRunningChats,
  weather,
} from "./checks.mjs";

const client = new OpenAI({ baseURL, apiKey, maxRetries: 0, timeout: 60_000 });

const tools = [zodFunction({ name: toolName, parameters: weather })];
const forced = {
  tools,
  tool_choice: { type: "function", function: { name: toolName } },
  max_tokens: 128,
};

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

eachTarget("openai (Node)", (model) => {
  const ask = (fields, sdk = client) =>
    sdk.chat.completions.create({ model, messages: hello, max_tokens: 8, ...fields });
  const text = async (fields) => (await ask(fields)).choices[0].message.content;

  test("chat", async () => {
    const answer = await ask();
    assert.ok([model, "tiny"].includes(answer.model));
    const [choice] = answer.choices;
    assert.ok(choice.message.content);
    assert.equal(choice.finish_reason, "length");
    // Its own message is accepted in the next request.
    await ask({ messages: [...hello, choice.message, ...hello] });
  });

  test("stream", async () => {
    const chunks = await collect(await ask({ stream: true, temperature: 0 }));
    const streamed = chunks.map((chunk) => chunk.choices[0].delta.content ?? "").join("");
    assert.equal(streamed, await text({ temperature: 0 }));
    assert.equal(chunks.at(-1).choices[0].finish_reason, "length");
  });

  test("image", async () => {
    const image = { type: "image_url", image_url: { url: dataUrl() } };
    const content = [{ type: "text", text: "What is this?" }, image];
    const withImage = await ask({ messages: [{ role: "user", content }] });
    const without = await ask({ messages: [{ role: "user", content: content.slice(0, 1) }] });
    assert.ok(withImage.usage.prompt_tokens > without.usage.prompt_tokens);
  });

  test("seed", async () => {
    const fields = { temperature: 1, seed: 7, max_tokens: 16 };
    assert.equal(await text(fields), await text(fields));
  });

  test("stop", async () => {
    const stop = (await text({ temperature: 0 })).slice(2, 4);
    const [choice] = (await ask({ temperature: 0, stop: [stop] })).choices;
    assert.ok(!choice.message.content.includes(stop));
    assert.equal(choice.finish_reason, "stop");
  });

  /** Validates the call of a message, and sends its result as the next one. */
  const checkCall = async (message) => {
    assert.equal(message.tool_calls.length, 1);
    const [call] = message.tool_calls;
    assert.equal(call.function.name, toolName);
    weather.parse(call.function.parsed_arguments);
    const result = { role: "tool", tool_call_id: call.id, content: "20 degrees" };
    const messages = [...hello, message, result];
    assert.ok(await text({ messages, tools, tool_choice: "none" }));
  };

  test("tools", async () => {
    const answer = await client.chat.completions.parse({ model, messages: hello, ...forced });
    assert.equal(answer.choices[0].finish_reason, "tool_calls");
    await checkCall(answer.choices[0].message);
  });

  test("streamed_tools", async () => {
    const stream = client.chat.completions.stream({ model, messages: hello, ...forced });
    let parts = 0;
    stream.on("tool_calls.function.arguments.delta", () => parts++);
    const answer = await stream.finalChatCompletion();
    // The arguments arrive in parts.
    assert.ok(parts > 1);
    await checkCall(answer.choices[0].message);
  });

  test("auto_tools", async () => {
    const answer = await ask({ tools });
    // The model may call the tool; one with random weights does not.
    assert.ok(answer.choices[0].message.content);
    assert.ok(answer.usage.prompt_tokens > (await ask()).usage.prompt_tokens);
  });

  test("json", async () => {
    const answer = await client.chat.completions.parse({
      model,
      messages: hello,
      max_tokens: 128,
      response_format: zodResponseFormat(weather, "weather"),
    });
    const [{ message }] = answer.choices;
    weather.parse(message.parsed);
    // Its own message is accepted in the next request.
    await ask({ messages: [...hello, message, ...hello] });
  });

  test("logprobs", async () => {
    const answer = await ask({ logprobs: true, top_logprobs: 2 });
    const { content } = answer.choices[0].logprobs;
    assert.equal(content.length, answer.usage.completion_tokens);
    for (const token of content) assert.equal(token.top_logprobs.length, 2);
  });

  test("n", async () => {
    const answer = await ask({ n: 2 });
    assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1]);
  });

  test("usage", async () => {
    const { usage } = await ask();
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert.equal(usage.completion_tokens, 8);
    const chunks = await collect(
      await ask({ stream: true, stream_options: { include_usage: true } }),
    );
    assert.deepEqual(chunks.at(-1).usage, usage);
  });

  test("completions", async () => {
    const fields = { model, prompt: "hello", max_tokens: 8, temperature: 0 };
    const answer = await client.completions.create(fields);
    assert.equal(answer.choices[0].finish_reason, "length");
    const chunks = await collect(await client.completions.create({ ...fields, stream: true }));
    assert.equal(chunks.map((chunk) => chunk.choices[0].text).join(""), answer.choices[0].text);
  });

  test("embeddings", async () => {
    const answer = await client.embeddings.create({
      model: `${model}-embedding`,
      input: ["hello", "goodbye"],
    });
    const [first, second] = answer.data.map((one) => one.embedding);
    const length = first.reduce((sum, number) => sum + number * number, 0);
    assert.ok(Math.abs(length - 1) < 1e-3);
    assert.notDeepEqual(first, second);
    await assert.rejects(client.embeddings.create({ model, input: "hello" }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError);
      // A chat model has none.
      assert.equal(error.param, "model");
      return true;
    });
  });

  test("models", async () => {
    const models = await collect(client.models.list());
    assert.ok(models.some((one) => one.id === model));
    assert.equal((await client.models.retrieve(model)).id, model);
  });

  test("unknown_model", async () => {
    await assert.rejects(ask({ model: "gpt-4o" }), (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError);
      assert.equal(error.code, "MODEL_NOT_FOUND");
      assert.equal(error.param, "model");
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
    assert.equal(error.code, "RATE_LIMITED");
    assert.ok(Number(error.headers.get("retry-after")) >= 1);
    // A client with retries waits for `Retry-After` and gets its answer.
    const answer = await ask({}, limited.withOptions({ maxRetries: 2 }));
    assert.ok(answer.choices[0].message.content);
  });

  test("disconnect", async () => {
    const stream = await ask({ stream: true, max_tokens: 8_000 });
    await stream[Symbol.asyncIterator]().next();
    await waitForRunningChats(model, 1);
    stream.controller.abort();
    await waitForRunningChats(model, 0);
  });
});
