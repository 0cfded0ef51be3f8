// OpenAI's Node SDK against one alias after the other: BASE_URL, then the aliases, each over a
// provider of another dialect. Prints one line for each alias that is fine.

import assert from "node:assert/strict";
import OpenAI from "openai";

const PIXEL =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
};
const tools = ["get_weather", "get_time"].map((name) => ({
  type: "function",
  function: { name, description: "Tells", parameters },
}));

const [baseURL, ...aliases] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey: "unused", maxRetries: 0, timeout: 30_000 });

for (const model of aliases) {
  const parts = [
    { type: "text", text: "what is this" },
    { type: "image_url", image_url: { url: PIXEL } },
  ];
  const seen = await client.chat.completions.create({ model, messages: [{ role: "user", content: parts }] });
  assert.match(seen.choices[0].message.content, /I got 1 image/);

  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "say hello" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.ok(text.endsWith("You asked: say hello"), text);
  assert.equal(usage.prompt_tokens, 2);

  // The SDK's own loop: it calls the functions and sends what they gave.
  const called = [];
  const runner = client.chat.completions.runTools({
    model,
    stream: true,
    messages: [{ role: "user", content: "use get_weather and get_time" }],
    tools: tools.map((tool) => ({
      ...tool,
      function: {
        ...tool.function,
        parse: JSON.parse,
        function: ({ city }) => {
          called.push(tool.function.name);
          return `${tool.function.name} of ${city}`;
        },
      },
    })),
  });
  const final = await runner.finalContent();
  assert.deepEqual(called.sort(), ["get_time", "get_weather"]);
  assert.match(final, /get_weather of demo/);

  const format = {
    type: "json_schema",
    json_schema: { name: "place", strict: true, schema: parameters },
  };
  const shaped = await client.chat.completions.parse({
    model,
    messages: [{ role: "user", content: "where" }],
    response_format: format,
  });
  assert.deepEqual(JSON.parse(shaped.choices[0].message.content), { city: "demo" });

  const events = client.responses.stream({ model, input: "say hello" });
  const response = await events.finalResponse();
  assert.ok(response.output_text.endsWith("say hello"), response.output_text);
  console.log(`${model}: fine`);
}

await assert.rejects(
  client.chat.completions.create({ model: "nobody", messages: [{ role: "user", content: "hi" }] }),
  (error) => error instanceof OpenAI.NotFoundError && error.code === "model_not_found",
);
console.log("errors: fine");
