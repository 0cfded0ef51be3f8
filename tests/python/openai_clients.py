"""OpenAI's Python SDK against one alias after the other: BASE_URL, then the aliases, each over a
provider of another dialect. Whatever the dialect, the SDK sees its own protocol: text, streams,
images, tools over several turns, structured output, reasoning, the responses API; vectors, where the
provider has them. Then the alias `others`: images, moderations and speech. Prints one line for each
alias that is fine."""

import json
import sys

import openai
import pydantic

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWj"
    "R9awAAAABJRU5ErkJggg=="
)
WEATHER = {
    "name": "get_weather",
    "description": "Tells the weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
TIME = {**WEATHER, "name": "get_time", "description": "Tells the time"}
TOOLS = [{"type": "function", "function": one} for one in (WEATHER, TIME)]
RESPONSE_TOOLS = [{"type": "function", "strict": False, **one} for one in (WEATHER, TIME)]


class Place(pydantic.BaseModel):
    city: str
    people: int


def user(content):
    return {"role": "user", "content": content}


def plain(client, alias):
    messages = [{"role": "system", "content": "be kind"}, user("say hello")]
    answer = client.chat.completions.create(model=alias, messages=messages)
    assert answer.choices[0].message.content.endswith("You asked: say hello"), answer
    assert answer.choices[0].finish_reason == "stop", answer
    assert answer.usage.prompt_tokens == 4 and answer.usage.completion_tokens >= 11, answer.usage

    chunks = list(
        client.chat.completions.create(
            model=alias, messages=messages, stream=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == answer.choices[0].message.content, text
    assert chunks[-1].usage.prompt_tokens == 4, chunks[-1]
    finishes = [c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason]
    assert finishes == ["stop"], finishes

    short = client.chat.completions.create(
        model=alias, messages=[user(" ".join(["word"] * 20))], max_tokens=16
    )
    assert short.choices[0].finish_reason == "length", short


def sees(client, alias):
    parts = [
        {"type": "text", "text": "what is this"},
        {"type": "image_url", "image_url": {"url": PIXEL}},
    ]
    answer = client.chat.completions.create(model=alias, messages=[user(parts)])
    assert "I got 1 image" in answer.choices[0].message.content, answer


def agent(client, alias, stream):
    messages = [user("use get_weather and get_time")]
    for turn in range(2):
        if stream:
            with client.chat.completions.stream(
                model=alias, messages=messages, tools=TOOLS, reasoning_effort="high"
            ) as events:
                for _ in events:
                    pass
                choice = events.get_final_completion().choices[0]
        else:
            choice = client.chat.completions.create(
                model=alias, messages=messages, tools=TOOLS, reasoning_effort="high"
            ).choices[0]
        # What the SDK does not know of a message is kept as well: signatures travel in it.
        messages.append(choice.message.model_dump(exclude_none=True, exclude={"parsed"}))
        for call in messages[-1].get("tool_calls", []):
            call.get("function", {}).pop("parsed_arguments", None)
        if turn == 0:
            assert choice.finish_reason == "tool_calls", choice
            names = [call.function.name for call in choice.message.tool_calls]
            assert sorted(names) == ["get_time", "get_weather"], names
            for call in choice.message.tool_calls:
                assert json.loads(call.function.arguments) == {"city": "demo"}, call
                result = {"role": "tool", "tool_call_id": call.id, "content": f"{call.function.name} ok"}
                messages.append(result)
        else:
            assert choice.finish_reason == "stop", choice
            for result in ("get_weather ok", "get_time ok"):
                assert result in choice.message.content, choice
    messages.append(user("thank you"))
    last = client.chat.completions.create(
        model=alias, messages=messages, tools=TOOLS, tool_choice="none"
    )
    assert last.choices[0].message.content.endswith("thank you"), last


def structured(client, alias):
    answer = client.chat.completions.parse(
        model=alias, messages=[user("where")], response_format=Place
    )
    assert answer.choices[0].message.parsed == Place(city="demo", people=1), answer


def responses(client, alias):
    answer = client.responses.create(model=alias, input="say hello", instructions="be kind")
    assert answer.status == "completed" and answer.output_text.endswith("say hello"), answer
    assert answer.usage.input_tokens == 4, answer.usage
    parsed = client.responses.parse(model=alias, input="where", text_format=Place)
    assert parsed.output_parsed == Place(city="demo", people=1), parsed

    items = [user("use get_weather")]
    with client.responses.stream(model=alias, input=items, tools=RESPONSE_TOOLS) as events:
        kinds = [event.type for event in events]
        answer = events.get_final_response()
    assert kinds[0] == "response.created" and kinds[-1] == "response.completed", kinds
    calls = [item for item in answer.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather"], answer
    items += [item.model_dump(exclude_none=True) for item in answer.output]
    for item in items:
        item.pop("parsed_arguments", None)
        for part in item["content"] if isinstance(item.get("content"), list) else []:
            part.pop("parsed", None)
    items.append({"type": "function_call_output", "call_id": calls[0].call_id, "output": "rain"})
    answer = client.responses.create(model=alias, input=items, tools=RESPONSE_TOOLS)
    assert "rain" in answer.output_text, answer


def vectors(client, alias):
    try:
        answer = client.embeddings.create(model=alias, input=["one", "two"])
    except openai.BadRequestError as error:
        assert alias not in ("openai", "gemini"), error
        assert error.code == "unsupported_parameter" and error.param == "model", error
        return
    assert [len(one.embedding) for one in answer.data] == [8, 8], answer
    assert alias in ("openai", "gemini") and answer.usage.prompt_tokens >= 2, answer


def others(client):
    made = client.images.generate(model="others", prompt="a small cat", n=2)
    assert len(made.data) == 2 and made.data[0].b64_json, made
    assert made.usage.input_tokens == 3, made.usage
    events = client.images.generate(model="others", prompt="a cat", stream=True, partial_images=1)
    kinds = [event.type for event in events]
    assert kinds == ["image_generation.partial_image", "image_generation.completed"], kinds

    verdict = client.moderations.create(model="others", input=["I like apples", "I like violence"])
    assert [one.flagged for one in verdict.results] == [False, True], verdict
    assert verdict.results[1].categories.violence, verdict

    spoken = {"model": "others", "voice": "alloy", "input": "hello there you"}
    wav = client.audio.speech.create(**spoken, response_format="wav").read()
    assert wav[:4] == b"RIFF" and len(wav) == 44 + int.from_bytes(wav[40:44], "little"), len(wav)
    with client.audio.speech.with_streaming_response.create(**spoken) as answer:
        assert answer.headers["content-type"] == "audio/mpeg", answer.headers
        assert b"".join(answer.iter_bytes()).startswith(b"\xff\xfb")
    print("others: fine", flush=True)


def main():
    base, *aliases = sys.argv[1:]
    client = openai.OpenAI(base_url=base, api_key="unused", max_retries=0, timeout=30)
    for alias in aliases:
        try:
            plain(client, alias)
            sees(client, alias)
            agent(client, alias, stream=False)
            agent(client, alias, stream=True)
            structured(client, alias)
            responses(client, alias)
            vectors(client, alias)
        except Exception as error:
            raise SystemExit(f"{alias}: {type(error).__name__}: {error}") from error
        print(f"{alias}: fine", flush=True)
    others(client)


main()
