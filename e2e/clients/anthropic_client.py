"""Conversations of Anthropic's client for Python: clients_test.go says what all clients do."""

import os

from anthropic import Anthropic

client = Anthropic(base_url=os.environ["BASE"], api_key="sk-test", max_retries=0)
turns = 0


def messages(name, model):
    """A growing conversation. Answers are whole and streamed in turn. There are tools from the third turn on."""
    global turns
    history = [{"role": "user", "content": name}]
    tool = {"name": "now", "description": "the time", "input_schema": {"type": "object", "properties": {}}}
    for turn in range(6):
        options = {"model": model, "messages": history, "max_tokens": 8, "system": [{"type": "text", "text": "Be brief."}]}
        if turn >= 2:
            options["tools"] = [tool]
        if turn % 2 == 0:
            text = client.messages.create(**options).content[0].text
        else:
            with client.messages.stream(**options) as stream:
                text = stream.get_final_text()
        assert text, "the answer is empty"
        turns += 1
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": "now", "input": {}}
        result = {"type": "tool_result", "tool_use_id": call["id"], "content": "noon"}
        history.append({"role": "assistant", "content": [{"type": "text", "text": text}, call]})
        history.append({"role": "user", "content": [result, {"type": "text", "text": f"And turn {turn}?"}]})


for n in range(int(os.environ["CONVERSATIONS"])):
    for model in os.environ["MODELS"].split(","):
        messages(f"conversation-python-messages-{model}-{n}", model)
print(turns)
