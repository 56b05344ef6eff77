"""Conversations of OpenAI's client for Python: clients_test.go says what all clients do."""

import os

from openai import OpenAI

client = OpenAI(base_url=os.environ["BASE"] + "/v1", api_key="sk-test", max_retries=0)
turns = 0


def chat(name, model):
    """A growing conversation with changing sampling options. Answers are whole and streamed in turn. There are tools from the third turn on."""
    global turns
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": name}]
    tool = {"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}
    for turn in range(6):
        options = {"model": model, "messages": messages, "max_tokens": 8, "temperature": turn / 10}
        if turn >= 2:
            options["tools"] = [tool]
        if turn % 2 == 0:
            text = client.chat.completions.create(**options).choices[0].message.content
        else:
            stream = client.chat.completions.create(stream=True, **options)
            text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text, "the answer is empty"
        turns += 1
        call = {"id": f"call_{turn}", "type": "function", "function": {"name": "now", "arguments": "{}"}}
        messages.append({"role": "assistant", "content": text, "tool_calls": [call]})
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": "noon"})
        messages.append({"role": "user", "content": [{"type": "text", "text": f"And turn {turn}?"}]})


def responses(name, model):
    """A chain of stored responses, whole and streamed in turn. Each response is looked up."""
    global turns
    previous = None
    for turn in range(6):
        options = {"model": model, "input": f"{name}, turn {turn}", "max_output_tokens": 8, "previous_response_id": previous}
        if turn == 0:
            options["instructions"] = "Be brief."
        if turn % 2 == 0:
            response = client.responses.create(**options)
        else:
            for event in client.responses.create(stream=True, **options):
                if event.type == "response.completed":
                    response = event.response
        assert response.output_text, "the answer is empty"
        turns += 1
        previous = response.id
        assert client.responses.retrieve(previous).id == previous


for n in range(int(os.environ["CONVERSATIONS"])):
    for model in os.environ["MODELS"].split(","):
        chat(f"conversation-python-chat-{model}-{n}", model)
        responses(f"conversation-python-responses-{model}-{n}", model)
print(turns)
