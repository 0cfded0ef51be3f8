"""One turn of an agent with tools and thinking, on Anthropic's SDK: ROOT_URL, the target that is to
answer, and a file that keeps the conversation from one call of this program to the next."""

import json
import pathlib
import sys

import anthropic

base, target, file = sys.argv[1:]
state = pathlib.Path(file)
client = anthropic.Anthropic(base_url=base, api_key="unused", max_retries=0, timeout=30)
schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"name": "get_weather", "description": "Tells", "input_schema": schema}]
question = [{"role": "user", "content": "use get_weather"}]
messages = json.loads(state.read_text()) if state.exists() else question
response = client.messages.with_raw_response.create(
    model="agent",
    max_tokens=4000,
    messages=messages,
    tools=tools,
    thinking={"type": "adaptive"},
    output_config={"effort": "high"},
)
answer = response.parse()
served = response.headers["x-moniker-target"]
assert served.split("/")[1] == target, served
content = [block.model_dump(exclude_none=True) for block in answer.content]
messages.append({"role": "assistant", "content": content})
calls = [block for block in answer.content if block.type == "tool_use"]
if calls:
    results = [{"type": "tool_result", "tool_use_id": c.id, "content": "sunny"} for c in calls]
    messages.append({"role": "user", "content": results})
    state.write_text(json.dumps(messages))
    print("asked for tools")
else:
    text = "".join(block.text for block in answer.content if block.type == "text")
    assert "sunny" in text, text
    print("answered")
