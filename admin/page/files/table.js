// The upstreams: a row each.

import { drain, undrain } from "./actions.js";
import { line, minutes } from "./chart.js";
import { make, say, set } from "./dom.js";
import { ago, compact, milliseconds, percent, rate, seconds, shown } from "./format.js";

const columns = [
  ["Upstream", "upstream"],
  ["State", "state"],
  ["Conversations", "number"],
  ["In flight", "number"],
  ["Work waiting", "number"],
  ["Requests/s", "number"],
  ["History", "chart"],
  ["First byte", "number"],
  ["Engine", "engine"],
  ["Cache hits", "number"],
  ["Errors", "number"],
  ["Action", "action"],
];

// A page shows the first rows only, until the user asks for more: a table of thousands of rows is no overview.
const maxRows = 100;

let table = null;
const rows = new Map(); // by name

function build(host) {
  const head = make("thead", { role: "rowgroup" }, make("tr", { role: "row" }, columns.map(([title, kind]) => make("th", { scope: "col", role: "columnheader", class: kind }, title))));
  const body = make("tbody", { role: "rowgroup" });
  const more = make("p", { class: "note" });
  const scroller = make("div", { class: "scroller", tabindex: 0, role: "group", "aria-label": "Table of upstreams" },
    make("table", { class: "upstreams", role: "table", "aria-labelledby": "upstreams-title" }, head, body));
  host.replaceChildren(scroller, more);
  return { body, more };
}

class Row {
  constructor(name) {
    this.cells = columns.map(([title, kind], i) => make(i ? "td" : "th", { role: i ? "cell" : "rowheader", scope: i ? null : "row", class: kind, "data-label": title }));
    this.name = make("b", { title: name.slice(0, 300) }, shown(name, 48));
    this.models = make("span", { class: "sub" });
    this.cells[0].append(this.name, this.models);
    this.chip = make("span", { class: "chip" });
    this.since = make("span", { class: "sub" });
    this.cells[1].append(this.chip, this.since);
    this.button = make("button", { type: "button", click: () => (this.upstream.draining ? undrain : drain)(this.upstream.name) });
    this.cells[11].append(this.button);
    this.element = make("tr", { role: "row" }, this.cells);
  }

  // two writes a value with a smaller line below.
  two(i, value, below = "") {
    const cell = this.cells[i];
    if (!cell.firstChild) cell.append(make("span", { class: "value" }), make("span", { class: "sub" }));
    say(cell.firstChild, value);
    say(cell.lastChild, below);
  }

  show(u, at, history) {
    this.upstream = u;
    set(this.element, { "data-state": u.health === "up" && (u.draining || u.leaving) ? "draining" : u.health });
    const models = u.models.map((m) => shown(m, 40)).join(", ") + (u.more_models ? ` and ${compact(u.more_models)} more` : "");
    say(this.models, `${models || "no models"}${u.weight === 100 ? "" : ` · weight ${u.weight}`}`);
    say(this.chip, u.state);
    say(this.since, `${u.since > "0002" ? `for ${ago(u.since, at)}` : ""}${u.reason && u.health !== "up" ? `: ${shown(u.reason, 90)}` : ""}`);
    this.two(2, compact(u.live), `${compact(Math.max(0, u.pinned - u.live))} idle`);
    this.two(3, compact(u.in_flight), u.max_in_flight ? `of ${compact(u.max_in_flight)}` : "");
    this.two(4, u.backlog_seconds ? seconds(u.backlog_seconds) : "0 s");
    this.two(5, rate(u.rate));
    this.chart(u, history);
    this.two(7, milliseconds(u.minute.p50_ms), u.minute.p99_ms === undefined ? "" : `p99 ${milliseconds(u.minute.p99_ms)}`);
    this.engine(u);
    const { reported_tokens: reported, tokens } = u.minute;
    this.two(9, reported ? percent(tokens.hit ?? 0, reported) : "–", reported ? `of ${compact(reported)}` : "");
    this.two(10, compact(u.minute.errors));
    set(this.cells[10], { class: u.minute.errors ? "number bad" : "number" });
    say(this.button, u.draining ? "Undrain…" : "Drain…");
    set(this.button, { "aria-label": `${u.draining ? "Undrain" : "Drain"} ${shown(u.name)}` });
  }

  chart(u, history) {
    const drawn = history.lines.get(u.name);
    if (!drawn || this.drawn === drawn) return;
    this.drawn = drawn;
    const rates = drawn.requests.map((n) => n / 10);
    const wrong = drawn.errors.reduce((a, b) => a + b, 0);
    this.cells[6].replaceChildren(line(rates, drawn.errors, `Requests a second over ${minutes(rates.length)} minutes: now ${rate(rates.at(-1) ?? 0)}, at most ${rate(Math.max(0, ...rates))}; ${wrong} errors`));
  }

  // engine shows what the server says of its engine. A server that says nothing has a dash.
  engine(u) {
    if (u.running === undefined && u.waiting === undefined && u.kv_usage === undefined) {
      this.two(8, "–");
      return;
    }
    const requests = [u.running === undefined ? null : `${compact(u.running)} run`, u.waiting === undefined ? null : `${compact(u.waiting)} wait`];
    this.two(8, requests.filter(Boolean).join(", ") || "–", u.kv_usage === undefined ? "" : `KV ${percent(u.kv_usage, 1)}`);
  }
}

export function showTable(host, now, history) {
  table ??= build(host);
  const listed = now.upstreams.slice(0, maxRows);
  const at = new Date(now.at);
  const names = new Set(listed.map((u) => u.name));
  for (const [name, row] of rows) {
    if (names.has(name)) continue;
    row.element.remove();
    rows.delete(name);
  }
  listed.forEach((u, i) => {
    let row = rows.get(u.name);
    if (!row) rows.set(u.name, (row = new Row(u.name)));
    row.show(u, at, history);
    if (table.body.children[i] !== row.element) table.body.insertBefore(row.element, table.body.children[i] ?? null);
  });
  const left = now.upstreams.length - listed.length;
  say(table.more, left ? `${left} more upstreams are not listed: tether upstreams prints all.` : "");
}
