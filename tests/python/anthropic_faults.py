"""Anthropic's Python SDK when providers fail: ROOT_URL, then the dialects. As openai_faults.py, in
Anthropic's own classes."""

import sys

import anthropic

from told import asked, hooks, on_429

base, *dialects = sys.argv[1:]
client = anthropic.Anthropic(
    base_url=base,
    api_key="unused",
    timeout=30,
    http_client=anthropic.DefaultHttpxClient(event_hooks=hooks),
)
ASK = {"max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}


def breaks(alias, reading=None):
    seen = ""
    try:
        with client.messages.stream(model=alias, **ASK) as events:
            for word in events.text_stream:
                seen += word
                if reading:
                    print(reading, flush=True)
                    reading = None
    except anthropic.APIError as error:
        assert seen.startswith("one"), f"{alias}: {seen!r} before {error}"
        return
    raise AssertionError(f"{alias} ended well after {seen!r}")


def refused(alias, kind, word):
    asked.clear()
    try:
        client.messages.create(model=alias, **ASK)
    except kind as error:
        assert error.body["error"]["type"] == word, (alias, error.body)
        assert len(asked) == 1, (alias, len(asked))
        return error
    raise AssertionError(f"{alias} answered")


limited = refused("limited", anthropic.RateLimitError, "rate_limit_error")
assert 1 <= int(limited.response.headers["retry-after"]) <= 7, limited.response.headers
refused("failing", anthropic.InternalServerError, "api_error")

running = client.messages.create(model="busy", stream=True, **ASK)
next(iter(running))
asked.clear()
on_429.append(running.close)
answer = client.messages.create(model="busy", **ASK)
assert answer.content[0].text == "one two three four", answer
assert len(asked) >= 2 and not on_429, asked

for dialect in dialects:
    breaks(f"cut-{dialect}")
    breaks(f"short-{dialect}")
    dead = client.messages.with_raw_response.create(model=f"dead-{dialect}", stream=True, **ASK)
    assert dead.headers["x-moniker-target"].split("/")[1] == f"alive-{dialect}", dead.headers
    words = [e.delta.text for e in dead.parse() if e.type == "content_block_delta"]
    assert "".join(words) == "one two three four", words
    breaks(f"dying-{dialect}", reading=f"reading dying-{dialect}")
print("fine")
