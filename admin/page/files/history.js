// The last 15 minutes, in samples of 10 seconds, and the events.

const samples = 90;
const maxEvents = 200;

export class History {
  samples = [];
  lines = new Map(); // by upstream: { requests, errors }
  events = [];

  reset(past) {
    this.every = past.every_seconds;
    this.samples = past.samples;
    this.lines = new Map(Object.entries(past.upstreams));
    this.events = past.events;
  }

  // add adds what a snapshot has that is new.
  add(now) {
    const last = this.samples.at(-1);
    const isNew = !last || now.sample.at > last.at;
    if (isNew && now.sample.at > "0002") {
      this.samples = [...this.samples, now.sample].slice(-samples);
      const lines = new Map();
      for (const u of now.upstreams) {
        const line = this.lines.get(u.name) ?? { requests: [], errors: [] };
        lines.set(u.name, {
          requests: [...line.requests, u.sample[0]].slice(-samples),
          errors: [...line.errors, u.sample[1]].slice(-samples),
        });
      }
      this.lines = lines;
    }
    for (const event of now.events) {
      const at = this.events.findIndex((e) => e.id === event.id);
      if (at >= 0) this.events[at] = event;
      else this.events = [...this.events, event].slice(-maxEvents);
    }
  }
}
