"""Anthropic's Python SDK against one alias after the other: ROOT_URL, then the aliases, each over a
provider of another dialect. Whatever the dialect, the SDK sees its own protocol. Prints one line for
each alias that is fine."""

import sys

import anthropic

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS = [
    {"name": name, "description": "Tells", "input_schema": SCHEMA}
    for name in ("get_weather", "get_time")
]


def user(content):
    return {"role": "user", "content": content}


def text(message):
    return "".join(block.text for block in message.content if block.type == "text")


def plain(client, alias):
    asked = {"model": alias, "max_tokens": 1000, "system": "be kind", "messages": [user("say hello")]}
    answer = client.messages.create(**asked)
    assert text(answer).endswith("You asked: say hello"), answer
    assert answer.stop_reason == "end_turn" and answer.usage.input_tokens == 4, answer
    with client.messages.stream(**asked) as events:
        words = list(events.text_stream)
        final = events.get_final_message()
    assert "".join(words) == text(answer) and len(words) > 2, words
    assert final.stop_reason == "end_turn" and final.usage.input_tokens == 4, final

    counted = {name: value for name, value in asked.items() if name != "max_tokens"}
    count = client.messages.count_tokens(**counted).input_tokens
    # Where nobody counts it is an estimate.
    assert 4 <= count <= 20, count

    # No fewer than every dialect takes.
    asked |= {"messages": [user(" ".join(["word"] * 20))], "max_tokens": 16}
    assert client.messages.create(**asked).stop_reason == "max_tokens"


def sees(client, alias):
    source = {"type": "base64", "media_type": "image/png", "data": PIXEL}
    parts = [{"type": "text", "text": "what is this"}, {"type": "image", "source": source}]
    answer = client.messages.create(model=alias, max_tokens=1000, messages=[user(parts)])
    assert "I got 1 image" in text(answer), answer


def agent(client, alias, stream):
    messages = [user("use get_weather and get_time")]
    for turn in range(2):
        asked = {"model": alias, "max_tokens": 4000, "messages": messages, "tools": TOOLS}
        asked |= {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}
        if stream:
            with client.messages.stream(**asked) as events:
                for _ in events:
                    pass
                answer = events.get_final_message()
        else:
            answer = client.messages.create(**asked)
        content = [block.model_dump(exclude_none=True) for block in answer.content]
        for block in content:
            block.pop("parsed_output", None)
        messages.append({"role": "assistant", "content": content})
        if turn == 0:
            assert answer.stop_reason == "tool_use", answer
            calls = [block for block in answer.content if block.type == "tool_use"]
            assert sorted(call.name for call in calls) == ["get_time", "get_weather"], answer
            assert all(call.input == {"city": "demo"} for call in calls), answer
            results = [
                {"type": "tool_result", "tool_use_id": call.id, "content": f"{call.name} ok"}
                for call in calls
            ]
            messages.append(user(results))
        else:
            assert answer.stop_reason == "end_turn", answer
            for result in ("get_weather ok", "get_time ok"):
                assert result in text(answer), answer
    messages.append(user("thank you"))
    answer = client.messages.create(
        model=alias, max_tokens=1000, messages=messages, tools=TOOLS, tool_choice={"type": "none"}
    )
    assert text(answer).endswith("thank you"), answer


def main():
    base, *aliases = sys.argv[1:]
    client = anthropic.Anthropic(base_url=base, api_key="unused", max_retries=0, timeout=30)
    for alias in aliases:
        try:
            plain(client, alias)
            sees(client, alias)
            agent(client, alias, stream=False)
            agent(client, alias, stream=True)
        except Exception as error:
            raise SystemExit(f"{alias}: {type(error).__name__}: {error}") from error
        print(f"{alias}: fine", flush=True)


main()
