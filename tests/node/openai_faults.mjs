// OpenAI's Node SDK when providers fail: BASE_URL, then the dialects. As openai_faults.py.

import assert from "node:assert/strict";
import OpenAI from "openai";

const [baseURL, ...dialects] = process.argv.slice(2);
let asked = 0;
let on429;
const client = new OpenAI({
  baseURL,
  apiKey: "unused",
  timeout: 30_000,
  fetch: async (url, init) => {
    asked += 1;
    const response = await fetch(url, init);
    if (response.status === 429 && on429) {
      on429();
      on429 = undefined;
    }
    return response;
  },
});
const messages = [{ role: "user", content: "hi" }];

async function* chat(model) {
  for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
    yield chunk.choices[0]?.delta.content ?? "";
  }
}

async function* response(model) {
  for await (const event of await client.responses.create({ model, input: "hi", stream: true })) {
    yield event.type === "response.output_text.delta" ? event.delta : "";
  }
}

async function breaks(words, alias, reading) {
  let seen = "";
  const read = async () => {
    for await (const word of words(alias)) {
      seen += word;
      if (seen && reading) {
        console.log(reading);
        reading = undefined;
      }
    }
  };
  await assert.rejects(read, OpenAI.APIError, `${alias} ended well after ${seen}`);
  assert.match(seen, /^one/, alias);
}

async function refused(model, kind, code) {
  asked = 0;
  let caught;
  await assert.rejects(client.chat.completions.create({ model, messages }), (error) => {
    caught = error;
    return error instanceof kind && error.code === code;
  });
  assert.equal(asked, 1, model);
  return caught;
}

const limited = await refused("limited", OpenAI.RateLimitError, "rate_limit_exceeded");
const wait = Number(limited.headers.get("retry-after"));
assert.ok(wait >= 1 && wait <= 7, `${wait}`);
await refused("failing", OpenAI.InternalServerError, "upstream_error");

const running = await client.chat.completions.create({ model: "busy", messages, stream: true });
await running[Symbol.asyncIterator]().next();
asked = 0;
on429 = () => running.controller.abort();
const answer = await client.chat.completions.create({ model: "busy", messages });
assert.equal(answer.choices[0].message.content, "one two three four");
assert.ok(asked >= 2 && !on429, `${asked}`);

for (const dialect of dialects) {
  for (const words of [chat, response]) {
    await breaks(words, `cut-${dialect}`);
    await breaks(words, `short-${dialect}`);
  }
  const { data, response: head } = await client.chat.completions
    .create({ model: `dead-${dialect}`, messages, stream: true })
    .withResponse();
  assert.equal(head.headers.get("x-moniker-target").split("/")[1], `alive-${dialect}`);
  let text = "";
  for await (const chunk of data) {
    text += chunk.choices[0]?.delta.content ?? "";
  }
  assert.equal(text, "one two three four");
  await breaks(chat, `dying-${dialect}`, `reading dying-${dialect}`);
}
console.log("fine");
