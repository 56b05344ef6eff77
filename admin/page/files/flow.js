// The picture: clients -> tether -> upstreams. The width of a lane is its traffic, a dot is a conversation, and a conversation that moves flies to its
// new upstream.

import { make, say, set } from "./dom.js";
import { compact, plural, rate, shown } from "./format.js";
import { curve, flight, pick, plan, spot, unit, widths } from "./layout.js";

const still = matchMedia("(prefers-reduced-motion: reduce)");
const flightTime = 1300; // ms
const stagger = 35; // ms between the starts of two dots
const maxFlights = 60; // at a time
const noteTime = 9000; // ms that a card tells of moves
const freshTime = 7000; // ms that a dot that moved has another colour

// Card is an upstream in the picture, or those that have no card of their own.
class Card {
  dots = [];
  arrived = 0;
  left = 0;
  toldUntil = 0;

  constructor(picture) {
    this.lane = make("path", { class: "lane" });
    this.pulse = make("path", { class: "pulse" });
    this.box = make("rect", { class: "box", rx: 6 });
    this.edge = make("rect", { class: "edge", width: 4, rx: 2 });
    this.name = make("text", { class: "name" });
    this.full = make("title");
    this.mood = make("text", { class: "mood" });
    this.figures = make("text", { class: "figures" });
    this.told = make("text", { class: "told" });
    this.group = make("g", { class: "card" }, this.full, this.box, this.edge, this.name, this.mood, this.figures, this.told);
    this.spots = make("g", { class: "spots" });
    picture.lanes.append(this.lane, this.pulse);
    picture.cards.append(this.group, this.spots);
  }

  remove() {
    for (const e of [this.lane, this.pulse, this.group, this.spots]) e.remove();
  }

  // tell counts moves in the line that the card tells of them.
  tell(arrived, left, now) {
    if (now > this.toldUntil) this.arrived = this.left = 0;
    this.arrived += arrived;
    this.left += left;
    this.toldUntil = now + noteTime;
  }
}

// mood returns the state of an upstream in a word, for colours, and the text of it.
function moodOf(u) {
  if (u.health === "down") return ["down", "down"];
  if (u.health !== "up") return ["unknown", "not known yet"];
  if (u.draining) return ["draining", "draining"];
  if (u.leaving) return ["draining", "leaving"];
  return ["up", u.state === "up" ? "up" : u.state.replace("up, ", "")];
}

// rateOf is the traffic of an upstream. The rate of a snapshot is that of the last seconds, in which a server may have died.
const rateOf = (u) => (u.health === "down" ? 0 : u.rate);

export class Flow {
  cardsByName = new Map();
  flying = new Set();
  lastMove = 0;
  busiest = 1;
  unit = 1;

  constructor(host, key) {
    this.host = host;
    this.key = key;
    this.trunk = make("path", { class: "lane trunk" });
    this.trunkPulse = make("path", { class: "pulse" });
    this.clientBar = make("rect", { class: "bar", rx: 4 });
    this.tetherBar = make("rect", { class: "bar own", rx: 4 });
    this.labels = { clients: make("text", { class: "label" }), tether: make("text", { class: "label own" }), rate: make("text", { class: "label rate" }) };
    this.lanes = make("g", { class: "lanes" }, this.trunk, this.trunkPulse);
    this.cards = make("g");
    this.above = make("g", { class: "spots flying" });
    this.svg = make("svg", { role: "img", class: "picture" }, this.lanes, this.clientBar, this.tetherBar, ...Object.values(this.labels), this.cards, this.above);
    host.append(this.svg);
    new ResizeObserver(() => this.last && this.draw()).observe(host);
  }

  show(now) {
    const first = !this.last;
    this.last = now;
    this.draw();
    const fresh = now.moves.filter((m) => m.id > this.lastMove);
    this.lastMove = Math.max(this.lastMove, ...now.moves.map((m) => m.id));
    if (!first) fresh.forEach((m) => this.move(m));
    for (const card of this.ordered) this.fill(card, first);
    for (const card of this.ordered) this.tellMoves(card);
  }

  // draw puts everything in its place.
  draw() {
    const now = this.last;
    const width = Math.max(300, this.host.clientWidth);
    const { cards, rest } = pick(now.upstreams, width < 640 ? 8 : 10);
    const views = rest.length ? [...cards, together(rest)] : cards;
    const p = (this.plan = plan(width, views.length, Math.max(...views.map((u) => u.live), 1)));
    const kept = new Map();
    this.ordered = views.map((u, i) => {
      const card = this.cardsByName.get(u.name) ?? new Card(this);
      kept.set(u.name, card);
      card.upstream = u;
      card.index = i;
      return card;
    });
    for (const [name, card] of this.cardsByName) if (!kept.has(name)) card.remove();
    this.cardsByName = kept;
    this.restCard = rest.length ? this.ordered.at(-1) : null;
    set(this.svg, { width, height: p.total, viewBox: `0 0 ${width} ${p.total}` });
    this.unit = unit(Math.max(...views.map((u) => u.live), 1), p.columns * p.rows);
    this.drawBars(now, p);
    this.ordered.forEach((card) => this.drawCard(card, p));
    this.explain(now);
  }

  drawBars(now, p) {
    const rates = this.ordered.map((c) => rateOf(c.upstream));
    const sum = rates.reduce((a, b) => a + b, 0);
    this.busiest = Math.max(sum, this.busiest * 0.998);
    const { lanes, trunk } = widths(rates, this.busiest);
    const space = 5;
    const stack = lanes.reduce((a, b) => a + b, 0) + space * (lanes.length - 1);
    const high = Math.max(stack + 16, 56);
    set(this.clientBar, { x: p.client, y: p.middle - Math.max(trunk + 16, 40) / 2, width: p.clientWidth, height: Math.max(trunk + 16, 40) });
    set(this.tetherBar, { x: p.tether, y: p.middle - high / 2, width: p.tetherWidth, height: high });
    const way = curve(p.client + p.clientWidth, p.middle, p.tether, p.middle);
    set(this.trunk, { d: way, "stroke-width": trunk.toFixed(1) });
    set(this.trunkPulse, { d: way, class: sum > 0 ? "pulse on" : "pulse", "stroke-width": Math.min(5, Math.max(2, trunk * 0.3)).toFixed(1) });
    let y = p.middle - stack / 2;
    this.ordered.forEach((card, i) => {
      const [mood] = moodOf(card.upstream);
      const d = curve(p.tether + p.tetherWidth, y + lanes[i] / 2, p.card, p.top(i) + p.height / 2);
      set(card.lane, { d, class: `lane ${mood}${lanes[i] ? "" : " idle"}`, "stroke-width": (lanes[i] || 1.5).toFixed(1) });
      set(card.pulse, { d, class: `pulse ${mood}${lanes[i] ? " on" : ""}`, "stroke-width": Math.min(5, Math.max(2, lanes[i] * 0.4)).toFixed(1) });
      y += lanes[i] + space;
    });
    const { clients, tether, rate: label } = this.labels;
    const above = (bar) => Number(bar.getAttribute("y")) - 9;
    const below = Number(this.clientBar.getAttribute("y")) + Number(this.clientBar.getAttribute("height"));
    say(set(clients, { x: p.client, y: p.narrow ? below + 18 : above(this.clientBar) }), "clients");
    say(set(tether, { x: p.tether + p.tetherWidth / 2, y: above(this.tetherBar), "text-anchor": "middle" }), "tether");
    say(set(label, p.narrow ? { x: p.client, y: below + 36 } : { x: (p.client + p.clientWidth + p.tether) / 2, y: p.middle - trunk / 2 - 10, "text-anchor": "middle" }),
      p.narrow ? `${rate(now.rate)}/s` : `${rate(now.rate)} requests/s`);
  }

  drawCard(card, p) {
    const { upstream: u, index: i } = card;
    const y = p.top(i);
    const [mood, text] = moodOf(u);
    set(card.group, { class: `card ${mood}` });
    set(card.spots, { class: `spots ${mood}` });
    set(card.box, { x: p.card, y, width: p.cardWidth, height: p.height });
    set(card.edge, { x: p.card, y, height: p.height });
    say(card.full, u.name.slice(0, 200));
    say(set(card.name, { x: p.card + 16, y: y + (p.narrow ? 20 : 24) }), shown(u.name, p.narrow ? 16 : 22));
    say(set(card.mood, p.narrow ? { x: p.card + p.cardWidth - 12, y: y + 20, "text-anchor": "end" } : { x: p.card + p.textWidth - 16, y: y + 24, "text-anchor": "end" }), text);
    say(set(card.figures, { x: p.card + 16, y: y + (p.narrow ? 39 : 46) }), `${p.narrow ? `${compact(u.live)} live` : plural(u.live, "conversation")} · ${rate(rateOf(u))}/s`);
    set(card.told, { x: p.card + p.cardWidth - 12, y: y + (p.narrow ? 39 : p.height / 2 + 5), "text-anchor": "end" });
    card.dots.forEach((dot, n) => this.flying.has(dot) || this.put(dot, spot(p, i, n)));
  }

  put(dot, at) {
    dot.at = at;
    set(dot.circle, { cx: at.x.toFixed(1), cy: at.y.toFixed(1), r: this.plan.radius });
  }

  newDot(card) {
    const dot = { circle: make("circle"), card };
    card.spots.append(dot.circle);
    card.dots.push(dot);
    return dot;
  }

  // cardOf returns the card that shows an upstream, if there is one.
  cardOf(name) {
    return this.cardsByName.get(name) ?? this.restCard;
  }

  // move lets dots fly from one card to another.
  move({ from, to, count }) {
    const a = this.cardOf(from);
    const b = this.cardOf(to);
    if (!a || !b || a === b) return;
    const now = performance.now();
    a.tell(0, count, now);
    b.tell(count, 0, now);
    const room = still.matches ? Infinity : maxFlights - this.flying.size;
    const n = Math.min(Math.max(1, Math.round(count / this.unit)), Math.max(1, room), 200);
    for (let k = 0; k < n; k++) {
      const dot = a.dots.length ? a.dots.pop() : this.newDot(b);
      if (!dot.at || dot.card === b) this.put(dot, spot(this.plan, a.index, k));
      if (dot.card !== b) b.dots.push(dot);
      dot.card = b;
      this.fly(dot, now + k * stagger, true);
    }
  }

  // fly lets a dot fly to its place, from where it is.
  fly(dot, start, moved) {
    clearTimeout(dot.calm);
    dot.circle.classList.remove("gone");
    if (moved) {
      dot.circle.classList.add("moved");
      dot.calm = setTimeout(() => dot.circle.classList.remove("moved"), freshTime);
    }
    if (still.matches) {
      dot.card.spots.append(dot.circle);
      this.put(dot, spot(this.plan, dot.card.index, dot.card.dots.indexOf(dot)));
      return;
    }
    this.above.append(dot.circle);
    Object.assign(dot, { from: dot.at, start, time: moved ? flightTime : flightTime / 2 });
    this.flying.add(dot);
    if (this.flying.size === 1) requestAnimationFrame((t) => this.step(t));
  }

  step(time) {
    for (const dot of this.flying) {
      const t = (time - dot.start) / dot.time;
      const n = dot.card.dots.indexOf(dot);
      if (n < 0) {
        this.flying.delete(dot);
        dot.circle.remove();
        continue;
      }
      const goal = spot(this.plan, dot.card.index, n);
      if (t >= 1) {
        this.flying.delete(dot);
        dot.card.spots.append(dot.circle);
        this.put(dot, goal);
      } else if (t > 0) {
        this.put(dot, flight(dot.from, goal, { x: this.plan.tether - this.plan.width * 0.06 }, t));
      }
    }
    if (this.flying.size) requestAnimationFrame((t) => this.step(t));
  }

  // fill makes a card show as many dots as it has conversations: new ones arrive from tether, and those that ended fade.
  fill(card, first) {
    const { live } = card.upstream;
    const wanted = live ? Math.max(1, Math.round(live / this.unit)) : 0;
    const now = performance.now();
    for (let k = 0; card.dots.length < wanted; k++) {
      const dot = this.newDot(card);
      const at = spot(this.plan, card.index, card.dots.length - 1);
      if (first || still.matches || k > 8 || this.flying.size > maxFlights) {
        this.put(dot, at);
      } else {
        this.put(dot, { x: this.plan.tether + this.plan.tetherWidth / 2, y: this.plan.middle });
        this.fly(dot, now + k * 80, false);
      }
    }
    while (card.dots.length > wanted) {
      const { circle } = card.dots.pop();
      circle.classList.add("gone");
      setTimeout(() => circle.classList.contains("gone") && circle.remove(), still.matches ? 0 : 700);
    }
  }

  tellMoves(card) {
    const told = [];
    if (performance.now() <= card.toldUntil) {
      if (card.arrived) told.push(`+${compact(card.arrived)} moved in`);
      if (card.left) told.push(`−${compact(card.left)} moved away`);
    }
    say(card.told, told.join("  "));
  }

  // explain writes the key of the picture, and its description for those who do not see it.
  explain(now) {
    const items = [["dot", this.unit === 1 ? "a conversation" : `${compact(this.unit)} conversations`], ["dot moved", "just moved"], ["width", "width: requests a second"]];
    if (this.key.children.length === 0) this.key.append(...items.map(([kind]) => make("li", {}, make("span", { class: kind, "aria-hidden": "true" }), make("span"))));
    items.forEach(([, text], i) => say(this.key.children[i].lastChild, text));
    const parts = this.ordered.map(({ upstream: u }) => `${shown(u.name)}: ${moodOf(u)[1]}, ${plural(u.live, "conversation")}, ${rate(u.rate)} requests a second`);
    set(this.svg, { "aria-label": `Requests flow from ${plural(now.connections, "connection")} of clients through tether to ${plural(now.upstreams.length, "upstream")}. ${parts.join(". ")}.` });
  }
}

// together returns the upstreams without a card of their own as one.
function together(rest) {
  const sum = (f) => rest.reduce((n, u) => n + f(u), 0);
  return { name: `${rest.length} others`, health: "up", state: "up", live: sum((u) => u.live), rate: sum((u) => u.rate) };
}
