// The geometry of the flow picture: functions of numbers alone.

const gap = 10; // between cards
const top = 30; // for the labels above the bars
const trunkMost = 72; // the widest trunk, in pixels
const laneLeast = 1.5;

// pick chooses the upstreams that get a card of their own, in their order: first those that are not well, then the busiest. The others share one.
export function pick(upstreams, most) {
  if (upstreams.length <= most) return { cards: upstreams, rest: [] };
  const chosen = new Set(
    [...upstreams].sort((a, b) => trouble(b) - trouble(a) || b.rate - a.rate || b.live - a.live).slice(0, most - 1),
  );
  return { cards: upstreams.filter((u) => chosen.has(u)), rest: upstreams.filter((u) => !chosen.has(u)) };
}

const trouble = (u) => (u.health === "down" ? 3 : u.draining || u.leaving ? 2 : u.health === "up" ? 0 : 1);

// Dots are as large as the fullest card allows: the distance between two, and the radius.
const dotSizes = [[16, 5.4], [13.5, 4.5], [11, 3.7], [9, 3]];

// plan returns where everything is, for a picture of this width with n cards, the fullest of which has most conversations.
export function plan(width, n, most) {
  const narrow = width < 640;
  const p = narrow
    ? { narrow, client: 0, clientWidth: 10, tether: 44, tetherWidth: 10, card: 84, height: 92, textWidth: 0 }
    : { narrow, client: 0, clientWidth: 12, tether: Math.round(width * 0.2), tetherWidth: 14, card: Math.round(width * 0.36), height: 64, textWidth: 230 };
  p.width = width;
  p.cardWidth = width - p.card;
  p.total = top + n * (p.height + gap);
  p.middle = top + (n * (p.height + gap) - gap) / 2;
  p.area = narrow
    ? { x: p.card + 14, y: 48, width: p.cardWidth - 24, height: p.height - 52 }
    : { x: p.card + p.textWidth, y: 6, width: p.cardWidth - p.textWidth - 170, height: p.height - 12 };
  for ([p.pitch, p.radius] of dotSizes) {
    p.columns = Math.max(1, Math.floor(p.area.width / p.pitch));
    p.rows = Math.max(1, Math.floor(p.area.height / p.pitch));
    if (p.columns * p.rows >= most * 1.2) break; // the size stays while the number varies a little
  }
  p.inset = (p.area.height - p.rows * p.pitch) / 2;
  p.top = (i) => top + i * (p.height + gap);
  return p;
}

// spot returns where dot number n of card i is: the columns fill from the left.
export function spot(p, i, n) {
  return {
    x: p.area.x + Math.floor(n / p.rows) * p.pitch + p.pitch / 2,
    y: p.top(i) + p.area.y + p.inset + (n % p.rows) * p.pitch + p.pitch / 2,
  };
}

// unit returns how many conversations a dot stands for, so that the fullest card has enough places.
export function unit(most, places) {
  for (let size = 1; ; size *= 10) {
    for (const step of [1, 2, 5]) {
      if (most <= size * step * places) return size * step;
    }
  }
}

// widths returns the widths of the lanes and of the trunk. busiest is the greatest sum of rates seen so far.
export function widths(rates, busiest) {
  const scale = trunkMost / Math.max(busiest, 1);
  const lanes = rates.map((r) => (r > 0 ? Math.max(laneLeast, r * scale) : 0));
  return { lanes, trunk: Math.max(laneLeast, lanes.reduce((a, b) => a + b, 0)) };
}

// curve returns the path between two points that leaves and arrives horizontally.
export function curve(x0, y0, x1, y1) {
  const bend = (x1 - x0) * 0.5;
  const f = (n) => n.toFixed(1);
  return `M${f(x0)} ${f(y0)}C${f(x0 + bend)} ${f(y0)} ${f(x1 - bend)} ${f(y1)} ${f(x1)} ${f(y1)}`;
}

// flight returns a point of the way from a to b by way of the tether bar, at time t of 0..1.
export function flight(a, b, by, t) {
  const s = t < 0.5 ? 2 * t * t : 1 - (-2 * t + 2) ** 2 / 2;
  const r = 1 - s;
  const bezier = (p0, p1, p2, p3) => r * r * r * p0 + 3 * r * r * s * p1 + 3 * r * s * s * p2 + s * s * s * p3;
  return { x: bezier(a.x, by.x, by.x, b.x), y: bezier(a.y, a.y, b.y, b.y) };
}
