"""What an application does with the official SDK, against the base URL given: plain, streaming,
embeddings, models, and an error. Prints one line when all of it is fine."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key="unused", max_retries=0, timeout=20)

question = [{"role": "user", "content": "say hello to the world"}]
answer = client.chat.completions.create(model="prod-chat", messages=question)
assert answer.choices[0].message.content, answer
assert answer.choices[0].finish_reason == "stop", answer
assert answer.usage.total_tokens > 0, answer

raw = client.chat.completions.with_raw_response.create(model="prod-chat", messages=question)
assert raw.headers["x-moniker-alias"] == "default/prod-chat", raw.headers

words = []
with client.chat.completions.create(model="prod-chat", messages=question, stream=True) as stream:
    for chunk in stream:
        assert chunk.usage is None, "usage that nobody asked for"
        words.extend(c.delta.content or "" for c in chunk.choices)
assert "".join(words), words
assert len(words) > 2, "not word by word"

options = {"include_usage": True}
chunks = list(
    client.chat.completions.create(
        model="prod-chat", messages=question, stream=True, stream_options=options
    )
)
assert chunks[-1].usage.total_tokens > 0, chunks[-1]

vectors = client.embeddings.create(model="prod-embed", input=["one", "two"])
assert len(vectors.data) == 2 and len(vectors.data[0].embedding) > 0, vectors

names = [model.id for model in client.models.list()]
assert "prod-chat" in names, names
assert client.models.retrieve("prod-chat").id == "prod-chat"

try:
    client.chat.completions.create(model="prod-chta", messages=question)
    raise SystemExit("an alias that is not there was served")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error
    assert "prod-chat" in str(error), error

print("chat, stream, embeddings, models, error: fine")
