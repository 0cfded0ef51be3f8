"""OpenAI's Python SDK when providers fail: BASE_URL, then the dialects. It raises the right class for
what is refused, asks again where that helps and not where it does not, never takes a stream that
broke in the middle for a whole one, and does not notice a provider that dies before it has spoken.
Prints `reading ALIAS` when the provider of that alias is to be killed, and then `fine`."""

import sys

import openai

from told import asked, hooks, on_429

base, *dialects = sys.argv[1:]
client = openai.OpenAI(
    base_url=base, api_key="unused", timeout=30, http_client=openai.DefaultHttpxClient(event_hooks=hooks)
)
HI = [{"role": "user", "content": "hi"}]


def chat(alias):
    for chunk in client.chat.completions.create(model=alias, messages=HI, stream=True):
        yield chunk.choices[0].delta.content if chunk.choices else None


def response(alias):
    for event in client.responses.create(model=alias, input="hi", stream=True):
        yield event.delta if event.type == "response.output_text.delta" else None


def breaks(words, alias, reading=None):
    seen = ""
    try:
        for word in words(alias):
            seen += word or ""
            if seen and reading:
                print(reading, flush=True)
                reading = None
    except openai.APIError as error:
        assert seen.startswith("one"), f"{alias}: {seen!r} before {error}"
        return
    raise AssertionError(f"{alias} ended well after {seen!r}")


def refused(alias, kind, code):
    asked.clear()
    try:
        client.chat.completions.create(model=alias, messages=HI)
    except kind as error:
        assert error.code == code, (alias, error)
        # Whatever can be tried was tried: asking again at once only repeats it.
        assert len(asked) == 1, (alias, len(asked))
        return error
    raise AssertionError(f"{alias} answered")


limited = refused("limited", openai.RateLimitError, "rate_limit_exceeded")
assert 1 <= int(limited.response.headers["retry-after"]) <= 7, limited.response.headers
refused("failing", openai.InternalServerError, "upstream_error")

# A target at its limit has room soon: the SDK waits as long as it is told, and asks again.
running = client.chat.completions.create(model="busy", messages=HI, stream=True)
next(iter(running))
asked.clear()
on_429.append(running.close)
answer = client.chat.completions.create(model="busy", messages=HI)
assert answer.choices[0].message.content == "one two three four", answer
assert len(asked) >= 2 and not on_429, asked

for dialect in dialects:
    for words in (chat, response):
        breaks(words, f"cut-{dialect}")
        breaks(words, f"short-{dialect}")
    dead = client.chat.completions.with_raw_response.create(
        model=f"dead-{dialect}", messages=HI, stream=True
    )
    assert dead.headers["x-moniker-target"].split("/")[1] == f"alive-{dialect}", dead.headers
    words = [chunk.choices[0].delta.content or "" for chunk in dead.parse() if chunk.choices]
    assert "".join(words) == "one two three four", words
    breaks(chat, f"dying-{dialect}", reading=f"reading dying-{dialect}")
print("fine")
