// Vercel's AI SDK with its OpenAI-compatible provider against one alias after the other: BASE_URL,
// then the aliases, each over a provider of another dialect. Prints one line for each that is fine.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, generateText, isStepCount, streamText, tool } from "ai";
import { z } from "zod";

const PIXEL =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const [baseURL, ...aliases] = process.argv.slice(2);
const moniker = createOpenAICompatible({
  name: "moniker",
  baseURL,
  apiKey: "unused",
  includeUsage: true,
  supportsStructuredOutputs: true,
});

for (const alias of aliases) {
  const model = moniker(alias);
  const common = { model, maxRetries: 0 };
  const seen = await generateText({
    ...common,
    messages: [
      {
        role: "user",
        content: [
          { type: "text", text: "what is this" },
          { type: "file", mediaType: "image/png", data: PIXEL },
        ],
      },
    ],
  });
  assert.match(seen.text, /I got 1 image/);

  const called = [];
  const tools = Object.fromEntries(
    ["get_weather", "get_time"].map((name) => [
      name,
      tool({
        description: "Tells",
        inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => {
          called.push(name);
          return `${name} of ${city}`;
        },
      }),
    ]),
  );
  const stream = streamText({
    ...common,
    prompt: "use get_weather and get_time",
    tools,
    stopWhen: isStepCount(3),
    onError: ({ error }) => {
      throw error;
    },
  });
  const text = await stream.text;
  assert.deepEqual(called.sort(), ["get_time", "get_weather"]);
  assert.match(text, /get_weather of demo/);
  assert.equal(await stream.finishReason, "stop");
  assert.ok((await stream.totalUsage).inputTokens > 0);

  const shaped = await generateText({
    ...common,
    prompt: "where",
    output: Output.object({ schema: z.object({ city: z.string(), people: z.number().int() }) }),
  });
  assert.equal(shaped.output.city, "demo");
  console.log(`${alias}: fine`);
}

await assert.rejects(
  generateText({ model: moniker("nobody"), prompt: "hi", maxRetries: 0 }),
  (error) => APICallError.isInstance(error) && error.statusCode === 404,
);
console.log("errors: fine");
