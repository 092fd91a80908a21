// Vercel's AI SDK with its provider for servers with the API of OpenAI.

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
