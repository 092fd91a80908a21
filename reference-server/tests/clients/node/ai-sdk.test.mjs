// Vercel's AI SDK with its providers for the three APIs.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

import { testProvider } from "./ai-sdk.mjs";
import { baseURL } from "./checks.mjs";

testProvider("ai with @ai-sdk/openai-compatible", (apiKey) =>
  createOpenAICompatible({
    name: "stockade",
    baseURL,
    apiKey,
    includeUsage: true,
    supportsStructuredOutputs: true,
  }),
);

// The responses API has neither `seed` nor `stop`. The server stores no responses: by default, the
// provider refers to earlier ones by their id.
testProvider(
  "ai with @ai-sdk/openai, Responses",
  (apiKey) => createOpenAI({ baseURL, apiKey }),
  { hasSeed: false, hasStop: false, providerOptions: { openai: { store: false } } },
);

// The messages API has no `seed`. For models that it does not know, the provider asks for JSON with a
// tool.
testProvider("ai with @ai-sdk/anthropic", (apiKey) => createAnthropic({ baseURL, apiKey }), {
  hasSeed: false,
  providerOptions: { anthropic: { structuredOutputMode: "outputFormat" } },
  jsonTool: { anthropic: { structuredOutputMode: "jsonTool" } },
});
