// The calls of Vercel's AI SDK, for each provider.

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  APICallError,
  Output,
  RetryError,
  generateText,
  stepCountIs,
  streamText,
  tool,
} from "ai";

import {
  apiKey,
  eachTarget,
  exhaust,
  limitedKey,
  png,
  toolName,
  unknownKey,
  waitForRunningChats,
  weather,
} from "./checks.mjs";

/** Adds the tests of a provider; `provide` returns its model for a key and a name. */
export function testProvider(client, provide, options = {}) {
  const { hasSeed = true, hasStop = true, jsonTool, providerOptions } = options;
  eachTarget(client, (target) => {
    const model = (key = apiKey, name = target) => provide(key)(name);
    // OpenAI's responses require at least 16 tokens.
    const base = { model: model(), prompt: "hello", maxOutputTokens: 16, maxRetries: 0, providerOptions };
    const ask = (fields) => generateText({ ...base, ...fields });

    test("chat", async () => {
      const answer = await ask({ system: "Be brief." });
      assert.ok(answer.text);
      assert.equal(answer.finishReason, "length");
      // Its own messages are accepted in the next request.
      const hello = { role: "user", content: "hello" };
      const messages = [hello, ...answer.response.messages, hello];
      await ask({ prompt: undefined, messages });
    });

    test("stream", async () => {
      const stream = streamText({ ...base, temperature: 0 });
      let streamed = "";
      for await (const text of stream.textStream) streamed += text;
      assert.equal(streamed, (await ask({ temperature: 0 })).text);
      assert.equal(await stream.finishReason, "length");
    });

    test("image", async () => {
      const text = { type: "text", text: "What is this?" };
      const image = { type: "image", image: png(), mediaType: "image/png" };
      const [withImage, without] = await Promise.all(
        [[text, image], [text]].map((content) =>
          ask({ prompt: undefined, messages: [{ role: "user", content }] }),
        ),
      );
      assert.ok(withImage.usage.inputTokens > without.usage.inputTokens);
    });

    if (hasSeed) {
      test("seed", async () => {
        const [one, two] = [await ask({ seed: 7 }), await ask({ seed: 7 })];
        assert.equal(one.text, two.text);
      });
    }

    if (hasStop) {
      test("stop", async () => {
        const stop = (await ask({ temperature: 0 })).text.slice(2, 4);
        const answer = await ask({ temperature: 0, stopSequences: [stop] });
        assert.ok(!answer.text.includes(stop));
        assert.equal(answer.finishReason, "stop");
      });
    }

    /** A tool that counts its calls, and a request that forces a call in its first step only. */
    const forced = () => {
      const calls = [];
      const execute = async (input) => {
        calls.push(input);
        return "20 degrees";
      };
      const toolChoice = { type: "tool", toolName };
      const fields = {
        tools: { [toolName]: tool({ inputSchema: weather, execute }) },
        prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? toolChoice : "none" }),
        stopWhen: stepCountIs(2),
        maxOutputTokens: 128,
      };
      return { calls, fields };
    };

    // The SDK validates the input, calls the tool and sends the result in the second step.
    test("tools", async () => {
      const { calls, fields } = forced();
      const answer = await ask(fields);
      assert.deepEqual(answer.steps.map((step) => step.toolCalls.length), [1, 0]);
      assert.equal(answer.steps[0].finishReason, "tool-calls");
      assert.equal(calls.length, 1);
      assert.ok(answer.text);
    });

    test("streamed_tools", async () => {
      const { calls, fields } = forced();
      const stream = streamText({ ...base, ...fields });
      const kinds = [];
      for await (const part of stream.fullStream) kinds.push(part.type);
      // The input arrives in parts.
      assert.ok(kinds.filter((kind) => kind === "tool-input-delta").length > 1);
      assert.equal(calls.length, 1);
      assert.ok(await stream.text);
    });

    test("auto_tools", async () => {
      const { calls, fields } = forced();
      const answer = await ask({ tools: fields.tools });
      // The model may call the tool; one with random weights does not.
      assert.ok(answer.text && calls.length === 0);
      assert.ok(answer.usage.inputTokens > (await ask()).usage.inputTokens);
    });

    const output = Output.object({ schema: weather });

    test("json", async () => {
      weather.parse((await ask({ output, maxOutputTokens: 128 })).output);
    });

    if (jsonTool) {
      test("json_by_tool", async () => {
        const fields = { output, maxOutputTokens: 128, providerOptions: jsonTool };
        weather.parse((await ask(fields)).output);
      });
    }

    test("usage", async () => {
      const { usage } = await ask();
      assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
      const stream = streamText(base);
      await stream.consumeStream();
      assert.equal((await stream.usage).inputTokens, usage.inputTokens);
    });

    test("unknown_model", async () => {
      await assert.rejects(ask({ model: model(apiKey, "unknown") }), (error) => {
        assert.ok(APICallError.isInstance(error));
        assert.equal(error.statusCode, 404);
        assert.equal(error.isRetryable, false);
        return true;
      });
    });

    test("bad_key", async () => {
      await assert.rejects(ask({ model: model(unknownKey) }), (error) => {
        assert.ok(APICallError.isInstance(error));
        assert.equal(error.statusCode, 401);
        return true;
      });
    });

    test("rate_limit", async () => {
      const limited = { model: model(limitedKey) };
      const error = await exhaust(() => ask(limited));
      const cause = RetryError.isInstance(error) ? error.lastError : error;
      assert.equal(cause.statusCode, 429);
      assert.ok(Number(cause.responseHeaders["retry-after"]) >= 1);
      // A client with retries waits for `Retry-After` and gets its answer.
      assert.ok((await ask({ ...limited, maxRetries: 2 })).text);
    });

    test("disconnect", async () => {
      const controller = new AbortController();
      const fields = { maxOutputTokens: 8_000, abortSignal: controller.signal };
      const stream = streamText({ ...base, ...fields, onAbort() {} });
      const reader = stream.textStream[Symbol.asyncIterator]();
      await reader.next();
      await waitForRunningChats(target, 1);
      controller.abort();
      await waitForRunningChats(target, 0);
    });
  });
}
