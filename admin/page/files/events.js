// Recent events.

import { make } from "./dom.js";
import { clock, shown } from "./format.js";

const signs = { up: "▲", down: "▼", drain: "◐", leaving: "◑", moves: "⇄", reload: "↻", upstreams: "±", replicas: "≡" };
const maxListed = 60;

export function showEvents(list, events) {
  if (!events.length) {
    list.replaceChildren(make("p", { class: "note" }, "Nothing has happened since the start."));
    return;
  }
  const last = events.at(-1);
  const mark = events.slice(-12).reduce((text, e) => text + e.id + e.text, `${last.id}`);
  if (list.dataset.mark === mark) return;
  list.dataset.mark = mark;
  const items = events.slice(-maxListed).reverse().map((e) =>
    make("li", { "data-kind": e.kind },
      make("span", { class: "sign", "aria-hidden": "true" }, signs[e.kind] ?? "•"),
      make("time", { datetime: e.at }, clock(e.at)),
      make("span", {}, e.upstream ? make("b", {}, shown(e.upstream)) : null, e.upstream ? " " : null, shown(e.text, 400))));
  list.replaceChildren(make("ol", {}, items));
}

let said = 0;

// spoken returns what a screen reader should say of the events since the last call: those of states and mass moves.
export function spoken(events) {
  const before = said;
  said = events.at(-1)?.id ?? said;
  if (!before) return "";
  return events
    .filter((e) => e.id > before && ["up", "down", "drain", "leaving", "moves"].includes(e.kind))
    .slice(-3)
    .map((e) => `${shown(e.upstream ?? "")} ${shown(e.text, 200)}`)
    .join(". ");
}
