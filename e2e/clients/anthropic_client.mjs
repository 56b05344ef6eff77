// Conversations of Anthropic's client for Node: clients_test.go says what all clients do.
import { createRequire } from 'node:module';
const Anthropic = createRequire(process.env.CLIENTS_E2E_HOME + '/')('@anthropic-ai/sdk').Anthropic;

const client = new Anthropic({ baseURL: process.env.BASE, apiKey: 'sk-test', maxRetries: 0 });
let turns = 0;

// A growing conversation. Answers are whole and streamed in turn. There are tools from the third turn on.
async function messages(name, model) {
  const history = [{ role: 'user', content: name }];
  const tool = { name: 'now', description: 'the time', input_schema: { type: 'object', properties: {} } };
  for (let turn = 0; turn < 6; turn++) {
    const system = [{ type: 'text', text: 'Be brief.' }];
    const options = { model, messages: history, max_tokens: 8, system, ...(turn >= 2 && { tools: [tool] }) };
    const text = turn % 2 === 0
      ? (await client.messages.create(options)).content[0].text
      : await client.messages.stream(options).finalText();
    if (!text) throw new Error('the answer is empty');
    turns++;
    const call = { type: 'tool_use', id: `toolu_${turn}`, name: 'now', input: {} };
    const result = { type: 'tool_result', tool_use_id: call.id, content: 'noon' };
    history.push({ role: 'assistant', content: [{ type: 'text', text }, call] });
    history.push({ role: 'user', content: [result, { type: 'text', text: `And turn ${turn}?` }] });
  }
}

for (let n = 0; n < Number(process.env.CONVERSATIONS); n++) {
  for (const model of process.env.MODELS.split(',')) {
    await messages(`conversation-node-messages-${model}-${n}`, model);
  }
}
console.log(turns);
