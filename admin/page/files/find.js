// Find a conversation by its id, and explain a request.

import { forget, move } from "./actions.js";
import { byId, make } from "./dom.js";
import { ago, clock, compact, percent, seconds, shown } from "./format.js";
import { call, Refusal } from "./live.js";

let current = () => null; // the last snapshot

export function startFinding(snapshot) {
  current = snapshot;
  listen("session", () => {
    const id = byId("session-id").value.trim();
    const model = byId("session-model").value.trim();
    return findSession(id, model);
  });
  listen("request", async () => {
    const text = byId("request-text").value.replace(/^\s+/, "");
    return explained(await call("POST", "api/where/request", wire(text)), null);
  });
}

// listen shows the answer of find below a form, or what is wrong.
function listen(name, find) {
  byId(name).addEventListener("submit", async (e) => {
    e.preventDefault();
    const found = byId(`${name}-found`);
    const button = e.target.querySelector("button");
    button.disabled = true;
    try {
      found.replaceChildren(...(await find()));
    } catch (e) {
      found.replaceChildren(make("p", { class: "bad" }, e instanceof Refusal ? e.message : "tether did not answer."));
    }
    button.disabled = false;
  });
}

async function findSession(id, model) {
  const question = model ? { id, model } : { id };
  const found = await call("POST", "api/where", JSON.stringify(question));
  return explained(found, { id, again: () => byId("session").requestSubmit() });
}

// wire gives the head of a pasted request the line ends that a request has, and the fields that are often left out: Host and Content-Length. The
// body stays as it is.
export function wire(text) {
  const [, top, body] = text.match(/^([^]*?)(?:\r?\n\r?\n([^]*))?$/);
  const head = top.split(/\r?\n/).filter((line) => !/^content-length\s*:/i.test(line));
  const has = (name) => head.some((line) => line.toLowerCase().startsWith(`${name}:`));
  if (!has("host")) head.push("Host: tether");
  if (body && !has("transfer-encoding")) head.push(`Content-Length: ${new TextEncoder().encode(body).length}`);
  return `${head.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

// explained returns the elements that show an answer. session is given for a conversation that was looked up by its id.
function explained(found, session) {
  const parts = [];
  if (found.request) parts.push(requestPart(found.request));
  if (found.note) parts.push(make("p", { class: "note" }, shown(found.note, 400)));
  for (const place of found.places) parts.push(placePart(place, session));
  if (found.placement) parts.push(make("p", { class: "note" }, `Placement in force: ${shown(found.placement, 300)}`));
  return parts;
}

function requestPart(r) {
  const parts = [];
  if (r.status) parts.push(make("p", { class: "bad" }, `tether answers ${r.status} itself: ${shown(r.refused ?? "", 300)}`));
  if (r.note) parts.push(make("p", { class: "note" }, shown(r.note, 300)));
  if (r.sources?.length) {
    parts.push(make("details", {}, make("summary", {}, `Sources of the session id, ${r.sources.length} in their order`),
      make("ol", { class: "plain" }, r.sources.map((s) => make("li", {}, make("code", {}, shown(s.source)), ` ${shown(s.finding, 200)}`)))));
  }
  return make("div", {}, make("h3", {}, `${shown(r.method ?? "")} ${shown(r.path ?? "")}`.trim() || "The request"), parts);
}

function placePart(p, session) {
  const fact = (name, value) => (value ? [make("dt", {}, name), make("dd", {}, value)] : []);
  const seen = p.seen ?? { turns: [] };
  const at = new Date(current()?.at ?? Date.now());
  return make("article", { class: "place" },
    make("h3", {}, p.upstream ? ["goes to ", make("b", {}, shown(p.upstream))] : "goes to no certain upstream", make("span", { class: "chip", "data-outcome": p.outcome }, p.outcome)),
    make("p", { class: "why" }, shown(p.why, 400)),
    make("dl", { class: "facts" },
      fact("Conversation", p.session && make("code", {}, p.session)), fact("Model", p.model && shown(p.model)), fact("Id from", p.source && shown(p.source, 120)),
      fact("Home", p.home && shown(p.home)), fact("Pin", p.pin ? `${shown(p.pin)}${p.pin_skipped ? `, not followed: ${shown(p.pin_skipped, 200)}` : ""}` : p.session && "none"),
      fact("Last seen", seen.last && (at - new Date(seen.last) < 1000 ? "just now" : `${ago(seen.last, at)} ago`)), fact("In flight", p.in_flight && `${p.in_flight} requests under this id`)),
    turnsPart(seen.turns), walkPart(p.walk), session && p.pin ? buttonsPart(p, session) : null);
}

function turnsPart(turns) {
  if (!turns.length) return null;
  return make("div", {}, make("h4", {}, "Last turns"), make("ol", { class: "turns" }, turns.map((t) => make("li", {},
    make("time", { datetime: t.at }, clock(t.at)), make("span", { class: "chip", "data-outcome": t.outcome }, t.outcome),
    make("span", {}, shown(t.upstream || "a removed upstream"), t.away ? ` (${t.away})` : "", t.status >= 400 ? `, status ${t.status}` : "",
      t.cached_tokens === undefined || !t.prompt_tokens ? "" : `, ${percent(t.cached_tokens, t.prompt_tokens)} of ${compact(t.prompt_tokens)} prompt tokens cached`, t.fate && !["hit", "new"].includes(t.fate) ? `, the rest ${t.fate}` : "")))));
}

function walkPart(walk) {
  if (!walk.length) return null;
  return make("details", {}, make("summary", {}, `The order of ${walk.length} upstreams`), make("ol", { class: "plain" }, walk.map((s) => make("li", {},
    make("b", {}, shown(s.upstream)), ` ${s.state}: ${s.verdict}${s.why ? `, ${shown(s.why, 200)}` : ""}${s.backlog_seconds ? `, ${seconds(s.backlog_seconds)} of work` : ""}`))));
}

function buttonsPart(p, { id, again }) {
  const others = (current()?.upstreams ?? []).filter((u) => u.name !== p.pin);
  const to = make("select", { "aria-label": "Upstream to move to" }, others.map((u) => make("option", { value: u.name }, `${shown(u.name)}${u.health === "up" && !u.draining ? "" : ` (${u.state})`}`)));
  return make("div", { class: "buttons" },
    others.length ? [make("label", {}, "Move to ", to), make("button", { type: "button", click: () => move(id, p.model ?? "", to.value, again) }, "Move…")] : null,
    make("button", { type: "button", class: "danger", click: () => forget(id, p.model ?? "", again) }, "Forget…"));
}
