// What affinity does: outcomes over time, expected against real cached tokens, and what that saves.

import { areas, minutes } from "./chart.js";
import { make, say, set } from "./dom.js";
import { compact, percent, seconds } from "./format.js";

const outcomes = [
  ["pinned", "stayed where the cache is"],
  ["new", "first turn of a conversation"],
  ["moved", "moved, and stays there"],
  ["spilled", "served elsewhere once"],
  ["none", "belongs to no conversation"],
];

let parts = null;

function build(host) {
  const chart = make("svg", { role: "img" });
  const rows = new Map(outcomes.map(([key, text]) => {
    const cells = [make("td"), make("td")];
    return [key, { cells, row: make("tr", {}, make("th", { scope: "row" }, make("span", { class: `swatch ${key}`, "aria-hidden": "true" }), make("b", {}, key), make("span", { class: "what" }, text)), cells) }];
  }));
  const table = make("table", { class: "outcomes" },
    make("caption", { class: "unseen" }, "Requests by outcome"),
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Outcome"), make("th", { scope: "col" }, "Last minute"), make("th", { scope: "col" }, "Since the start"))),
    make("tbody", {}, [...rows.values()].map((r) => r.row)));
  const tokens = make("div", { class: "tokens" });
  const axis = make("p", { class: "axis" }, make("span"), make("span"), make("span", {}, "now"));
  host.replaceChildren(chart, axis, table, tokens);
  return { chart, axis, rows, tokens };
}

const lostFates = [
  ["moved", "moved", "another server had them: the conversation was there"],
  ["evicted", "evicted", "the conversation stayed, and the server had dropped them"],
  ["restarted", "restarted", "the conversation stayed, and the server is a new process"],
];

// bar returns what became of the tokens that a cache should have had: those that were there, and the gap by its cause.
function bar(title, figures) {
  const t = figures.tokens;
  const hit = t.hit ?? 0;
  const expected = hit + lostFates.reduce((n, [fate]) => n + (t[fate] ?? 0), 0);
  const svg = make("svg", { class: "bar", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const fate of ["hit", ...lostFates.map(([f]) => f)]) {
    const width = expected ? (100 * (t[fate] ?? 0)) / expected : 0;
    svg.append(make("rect", { class: `fate ${fate}`, x: x.toFixed(2), width: width.toFixed(2), height: 10 }));
    x += width;
  }
  const lost = lostFates.filter(([fate]) => t[fate]).map(([fate, word, text]) => {
    const reasons = fate === "moved" && figures.moved_tokens ? ` (${Object.entries(figures.moved_tokens).sort((a, b) => b[1] - a[1]).map(([r, n]) => `${r} ${compact(n)}`).join(", ")})` : "";
    return make("li", {}, make("span", { class: `swatch fate ${fate}`, "aria-hidden": "true" }), make("b", {}, `${percent(t[fate], expected)} ${word}`), ` ${text}${reasons}`);
  });
  return make("div", {}, make("h3", {}, title), svg,
    make("p", {}, make("b", {}, percent(hit, expected)), ` of the ${compact(expected)} prompt tokens that a cache should have had were there`),
    lost.length ? make("ul", {}, lost) : null,
    make("p", {}, `besides, ${compact(t.new ?? 0)} tokens were new`, t.unknown ? `, and of ${compact(t.unknown)} it is not known` : ""));
}

export function showAffinity(host, now, history) {
  parts ??= build(host);
  const { minute, total } = now;
  const shown = outcomes.map(([key]) => key);
  const most = areas(parts.chart, history.samples.map((s) => s.outcomes), shown);
  const span = minutes(history.samples.length);
  set(parts.chart, { "aria-label": `Requests by outcome over ${span} minutes, at most ${compact(most / 10)} a second` });
  say(parts.axis.children[0], `${span} min ago`);
  say(parts.axis.children[1], `up to ${compact(Math.round(most / 10))} requests/s`);
  for (const [key, { cells }] of parts.rows) {
    say(cells[0], `${compact(minute.outcomes[key])}`);
    say(cells[1], `${compact(total.outcomes[key])}`);
  }
  const told = [];
  if (minute.reported_tokens) told.push(bar("Caches, last minute", minute));
  if (total.reported_tokens) told.push(bar("Caches, since the start", total));
  if (!total.reported_tokens && total.tokens?.unknown) told.push(make("p", { class: "saved" }, "The engines do not say how many prompt tokens they had cached: vLLM does with --enable-prompt-tokens-details."));
  if (total.saved_seconds) {
    told.push(make("p", { class: "saved" }, "Cached tokens spared the servers ", make("b", {}, seconds(minute.saved_seconds ?? 0)), " of computing in the last minute, ", make("b", {}, seconds(total.saved_seconds)), " since the start, at the prefill rate that tether measured."));
  }
  const mark = told.map((e) => e.textContent).join("|");
  if (parts.tokens.dataset.mark === mark) return;
  parts.tokens.dataset.mark = mark;
  parts.tokens.replaceChildren(...told);
}
