// The messages API with Anthropic's SDK.

import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic from "@anthropic-ai/sdk";
import { zodOutputFormat } from "@anthropic-ai/sdk/helpers/zod";
import { z } from "zod";

import {
  apiKey,
  eachTarget,
  exhaust,
  hello,
  limitedKey,
  png,
  toolName,
  unknownKey,
  url,
  waitForRunningChats,
  weather,
} from "./checks.mjs";

const options = { baseURL: url, maxRetries: 0, timeout: 60_000 };
const client = new Anthropic({ ...options, apiKey });

const tools = [{ name: toolName, input_schema: z.toJSONSchema(weather) }];
const forced = { tools, tool_choice: { type: "tool", name: toolName }, max_tokens: 128 };

eachTarget("anthropic (Node)", (model) => {
  const ask = (fields, sdk = client) =>
    sdk.messages.create({ model, messages: hello, max_tokens: 8, ...fields });

  test("chat", async () => {
    const answer = await ask({ system: "Be brief." });
    assert.equal(answer.type, "message");
    assert.equal(answer.model, model);
    assert.ok(answer.content[0].text);
    assert.equal(answer.stop_reason, "max_tokens");
    // Its own message is accepted in the next request.
    const { content } = answer;
    await ask({ messages: [...hello, { role: "assistant", content }, ...hello] });
  });

  test("stream", async () => {
    const fields = { model, messages: hello, max_tokens: 8, temperature: 0 };
    const message = await client.messages.stream(fields).finalMessage();
    assert.equal(message.content[0].text, (await ask({ temperature: 0 })).content[0].text);
    assert.equal(message.stop_reason, "max_tokens");
    assert.equal(message.usage.output_tokens, 8);
  });

  test("image", async () => {
    const source = { type: "base64", media_type: "image/png", data: png().toString("base64") };
    const content = [
      { type: "text", text: "What is this?" },
      { type: "image", source },
    ];
    const withImage = await ask({ messages: [{ role: "user", content }] });
    const without = await ask({ messages: [{ role: "user", content: content.slice(0, 1) }] });
    assert.ok(withImage.usage.input_tokens > without.usage.input_tokens);
  });

  /** Validates the call of an answer, and sends its result as the next message. */
  const checkCall = async ({ content, stop_reason }) => {
    assert.equal(stop_reason, "tool_use");
    assert.equal(content.length, 1);
    assert.equal(content[0].name, toolName);
    weather.parse(content[0].input);
    const result = { type: "tool_result", tool_use_id: content[0].id, content: "20 degrees" };
    const messages = [
      ...hello,
      { role: "assistant", content },
      { role: "user", content: [result] },
    ];
    const answer = await ask({ messages, tools, tool_choice: { type: "none" } });
    assert.ok(answer.content[0].text);
  };

  test("tools", async () => {
    await checkCall(await ask(forced));
  });

  test("streamed_tools", async () => {
    const stream = client.messages.stream({ model, messages: hello, ...forced });
    let parts = 0;
    stream.on("inputJson", () => parts++);
    const answer = await stream.finalMessage();
    // The arguments arrive in parts.
    assert.ok(parts > 1);
    await checkCall(answer);
  });

  test("auto_tools", async () => {
    const answer = await ask({ tools });
    // The model may call the tool; one with random weights does not.
    assert.ok(answer.content[0].text);
    assert.ok(answer.usage.input_tokens > (await ask()).usage.input_tokens);
  });

  test("json", async () => {
    const output_config = { format: zodOutputFormat(weather) };
    const fields = { model, messages: hello, max_tokens: 128, output_config };
    const answer = await client.messages.parse(fields);
    weather.parse(answer.parsed_output);
    // Its own message is accepted in the next request.
    const { content } = answer;
    await ask({ messages: [...hello, { role: "assistant", content }, ...hello] });
  });

  const countTokens = () => client.messages.countTokens({ model, messages: hello });

  if (model === "relay") {
    // Its upstream has only OpenAI's APIs, which cannot count.
    test("refuses_count_tokens", async () => {
      await assert.rejects(countTokens(), (error) => {
        assert.ok(error instanceof Anthropic.BadRequestError);
        assert.equal(error.error.error.code, "UNSUPPORTED_PARAMETER");
        return true;
      });
    });
  } else {
    test("count_tokens", async () => {
      const counted = await countTokens();
      assert.equal(counted.input_tokens, (await ask()).usage.input_tokens);
    });
  }

  test("stop", async () => {
    const stop = (await ask({ temperature: 0 })).content[0].text.slice(2, 4);
    const answer = await ask({ temperature: 0, stop_sequences: [stop] });
    assert.ok(!(answer.content[0]?.text ?? "").includes(stop));
    assert.notEqual(answer.stop_reason, "max_tokens");
  });

  test("usage", async () => {
    const { usage } = await ask();
    assert.equal(usage.output_tokens, 8);
  });

  test("models", async () => {
    const models = [];
    for await (const one of client.models.list()) models.push(one.id);
    assert.ok(models.includes(model));
    assert.equal((await client.models.retrieve(model)).id, model);
  });

  test("unknown_model", async () => {
    await assert.rejects(ask({ model: "claude-unknown" }), (error) => {
      assert.ok(error instanceof Anthropic.NotFoundError);
      assert.equal(error.error.error.type, "not_found_error");
      return true;
    });
  });

  test("bad_key", async () => {
    const unauthenticated = new Anthropic({ ...options, apiKey: unknownKey });
    await assert.rejects(ask({}, unauthenticated), Anthropic.AuthenticationError);
  });

  test("rate_limit", async () => {
    const limited = new Anthropic({ ...options, apiKey: limitedKey });
    const error = await exhaust(() => ask({}, limited));
    assert.ok(error instanceof Anthropic.RateLimitError, error);
    assert.ok((await ask({}, limited.withOptions({ maxRetries: 2 }))).content.length > 0);
  });

  test("disconnect", async () => {
    const stream = await ask({ stream: true, max_tokens: 8_000 });
    await stream[Symbol.asyncIterator]().next();
    await waitForRunningChats(model, 1);
    stream.controller.abort();
    await waitForRunningChats(model, 0);
  });
});
