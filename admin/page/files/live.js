// The connection to tether: server-sent events, read by fetch so that the admin token travels in a header, and calls of the API. The token is in
// this module's memory alone.

let token = "";

export function useToken(value) {
  token = value;
}

const headers = () => (token ? { Authorization: `Bearer ${token}` } : {});

// Refusal is an answer other than 200.
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function refusal(answer) {
  let message = `tether answered ${answer.status}`;
  try {
    message = (await answer.json()).error.message;
  } catch {
    // it is not tether that answered
  }
  return new Refusal(answer.status, message);
}

// call calls the API and returns its answer.
export async function call(method, path, body) {
  const answer = await fetch(path, { method, body, headers: headers(), cache: "no-store", credentials: "omit", redirect: "error" });
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

// events splits a stream into its events.
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const event = { name: "", data: "" };
      for (const line of part.split("\n")) {
        if (line.startsWith("event: ")) event.name = line.slice(7);
        if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      yield event;
    }
  }
}

// A snapshot arrives each second. After this silence the connection counts as lost.
const silence = 4000;
const pauses = [500, 1000, 2000, 5000];

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// follow calls on.past and on.now with what arrives, on.live and on.lost when the connection begins and ends, and on.refused when tether wants
// another token; then it waits for the promise that on.refused returns.
export async function follow(on) {
  for (let failures = 0; ; ) {
    const control = new AbortController();
    let timer = setTimeout(() => control.abort(), silence);
    let why = "";
    try {
      const answer = await fetch("api/live", { headers: headers(), signal: control.signal, cache: "no-store", credentials: "omit", redirect: "error" });
      if (!answer.ok) throw await refusal(answer);
      for await (const e of events(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(() => control.abort(), silence);
        failures = 0;
        if (e.name === "past") on.past(JSON.parse(e.data));
        if (e.name === "now") on.now(JSON.parse(e.data));
        on.live();
      }
    } catch (e) {
      if (e instanceof Refusal && e.status === 401) {
        clearTimeout(timer);
        await on.refused(token !== "");
        continue;
      }
      if (e instanceof Refusal) why = e.message;
      else if (!(e instanceof TypeError) && e.name !== "AbortError") throw e;
    }
    clearTimeout(timer);
    control.abort();
    on.lost(why);
    await sleep(pauses[Math.min(failures++, pauses.length - 1)]);
  }
}
