// Conversations of OpenAI's client for Node: clients_test.go says what all clients do.
import { createRequire } from 'node:module';
const OpenAI = createRequire(process.env.CLIENTS_E2E_HOME + '/')('openai').OpenAI;

const client = new OpenAI({ baseURL: process.env.BASE + '/v1', apiKey: 'sk-test', maxRetries: 0 });
let turns = 0;

function check(text) {
  if (!text) throw new Error('the answer is empty');
  turns++;
  return text;
}

// A growing conversation with changing sampling options. Answers are whole and streamed in turn. There are tools from the third turn on.
async function chat(name, model) {
  const messages = [{ role: 'system', content: 'Be brief.' }, { role: 'user', content: name }];
  const tool = { type: 'function', function: { name: 'now', parameters: { type: 'object', properties: {} } } };
  for (let turn = 0; turn < 6; turn++) {
    const options = { model, messages, max_tokens: 8, temperature: turn / 10, ...(turn >= 2 && { tools: [tool] }) };
    let text = '';
    if (turn % 2 === 0) {
      text = (await client.chat.completions.create(options)).choices[0].message.content;
    } else {
      for await (const chunk of await client.chat.completions.create({ ...options, stream: true })) {
        text += chunk.choices[0]?.delta?.content ?? '';
      }
    }
    check(text);
    const call = { id: `call_${turn}`, type: 'function', function: { name: 'now', arguments: '{}' } };
    messages.push({ role: 'assistant', content: text, tool_calls: [call] }, { role: 'tool', tool_call_id: call.id, content: 'noon' });
    messages.push({ role: 'user', content: [{ type: 'text', text: `And turn ${turn}?` }] });
  }
}

// A chain of stored responses, whole and streamed in turn. Each response is looked up.
async function responses(name, model) {
  let previous;
  for (let turn = 0; turn < 6; turn++) {
    const options = { model, input: `${name}, turn ${turn}`, max_output_tokens: 8, previous_response_id: previous };
    if (turn === 0) options.instructions = 'Be brief.';
    let response;
    if (turn % 2 === 0) {
      response = await client.responses.create(options);
      check(response.output_text);
    } else {
      let text = '';
      for await (const event of await client.responses.create({ ...options, stream: true })) {
        if (event.type === 'response.output_text.delta') text += event.delta;
        if (event.type === 'response.completed') response = event.response;
      }
      check(text);
    }
    previous = response.id;
    if ((await client.responses.retrieve(previous)).id !== previous) throw new Error('another response');
  }
}

for (let n = 0; n < Number(process.env.CONVERSATIONS); n++) {
  for (const model of process.env.MODELS.split(',')) {
    await chat(`conversation-node-chat-${model}-${n}`, model);
    await responses(`conversation-node-responses-${model}-${n}`, model);
  }
}
console.log(turns);
