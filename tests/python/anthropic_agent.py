"""An agent with tools and thinking on Anthropic's SDK: ROOT_URL, then aliases, each over two targets.
It asks each for tools, says so and waits for a line; meanwhile the first targets die. Then it goes on
with every conversation, which the second targets answer."""

import sys

import anthropic

base, *aliases = sys.argv[1:]
client = anthropic.Anthropic(base_url=base, api_key="unused", max_retries=0, timeout=30)
schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"name": "get_weather", "description": "Tells", "input_schema": schema}]
talks = {alias: [{"role": "user", "content": "use get_weather"}] for alias in aliases}


def turn(alias, target):
    response = client.messages.with_raw_response.create(
        model=alias,
        max_tokens=4000,
        messages=talks[alias],
        tools=tools,
        thinking={"type": "adaptive"},
        output_config={"effort": "high"},
    )
    served = response.headers["x-moniker-target"]
    assert served.split("/")[1] == f"{alias}-{target}", (alias, served)
    answer = response.parse()
    content = [block.model_dump(exclude_none=True) for block in answer.content]
    talks[alias].append({"role": "assistant", "content": content})
    return answer


for alias in aliases:
    calls = [block for block in turn(alias, "first").content if block.type == "tool_use"]
    assert calls, (alias, talks[alias])
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": "sunny"} for c in calls]
    talks[alias].append({"role": "user", "content": results})
print("asked for tools", flush=True)
sys.stdin.readline()
for alias in aliases:
    answer = turn(alias, "second")
    text = "".join(block.text for block in answer.content if block.type == "text")
    assert "sunny" in text, (alias, text)
print("answered", flush=True)
