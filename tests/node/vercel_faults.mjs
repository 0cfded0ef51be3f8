// Vercel's AI SDK when providers fail: BASE_URL, then the dialects. As openai_faults.py; that SDK asks
// again by the status alone, so that is left to its application.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, generateText, streamText } from "ai";

const [baseURL, ...dialects] = process.argv.slice(2);
const moniker = createOpenAICompatible({ name: "moniker", baseURL, apiKey: "unused" });
const common = (alias) => ({ model: moniker(alias), prompt: "hi", maxRetries: 0 });

async function breaks(alias, reading) {
  let seen = "";
  let error;
  const stream = streamText({ ...common(alias), onError: () => {} });
  for await (const part of stream.fullStream) {
    if (part.type === "text-delta") {
      seen += part.text;
      if (reading) {
        console.log(reading);
        reading = undefined;
      }
    }
    error ??= part.type === "error" ? part.error : undefined;
  }
  assert.ok(error, `${alias} ended well after ${seen}`);
  assert.match(seen, /^one/, alias);
}

async function refused(alias, status) {
  let caught;
  await assert.rejects(generateText(common(alias)), (error) => {
    caught = error;
    return APICallError.isInstance(error) && error.statusCode === status;
  });
  return caught;
}

const limited = await refused("limited", 429);
const wait = Number(limited.responseHeaders["retry-after"]);
assert.ok(wait >= 1 && wait <= 7, `${wait}`);
assert.ok(limited.isRetryable);
await refused("failing", 502);

for (const dialect of dialects) {
  await breaks(`cut-${dialect}`);
  await breaks(`short-${dialect}`);
  const { text, response } = await generateText(common(`dead-${dialect}`));
  assert.equal(text, "one two three four");
  assert.equal(response.headers["x-moniker-target"].split("/")[1], `alive-${dialect}`);
  await breaks(`dying-${dialect}`, `reading dying-${dialect}`);
}
console.log("fine");
