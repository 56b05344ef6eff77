// The figures at the top.

import { make, say } from "./dom.js";
import { compact, milliseconds, percent, rate, seconds } from "./format.js";

// tiles returns each tile: name, value, and a line of detail.
function tiles(now) {
  const { minute, total } = now;
  const live = now.upstreams.reduce((n, u) => n + u.live, 0);
  const stayed = minute.outcomes.pinned;
  const later = stayed + minute.outcomes.moved + minute.outcomes.spilled;
  const all = [
    ["Live conversations", compact(live), `${compact(now.sessions)} pinned`],
    ["Requests a second", rate(now.rate), `${compact(now.in_flight)} in flight`],
    ["Turns that stayed", percent(stayed, later), later ? `${compact(minute.outcomes.moved)} moved, ${compact(minute.outcomes.spilled)} spilled` : "no later turn yet"],
  ];
  if (total.reported_tokens) {
    all.push(["Prompt from cache", percent(minute.tokens?.hit ?? 0, minute.reported_tokens), `${percent(total.tokens.hit ?? 0, total.reported_tokens)} since the start`]);
  }
  all.push(["First byte, median", milliseconds(minute.p50_ms), `p99 ${milliseconds(minute.p99_ms)}`]);
  if (total.saved_seconds) {
    all.push(["GPU time saved", seconds(minute.saved_seconds ?? 0), `in a minute, ${seconds(total.saved_seconds)} in all`]);
  }
  return all;
}

export function showTiles(list, now) {
  const all = tiles(now);
  while (list.children.length > all.length) list.lastChild.remove();
  all.forEach(([name, value, detail], i) => {
    if (!list.children[i]) list.append(make("div", {}, make("dt"), make("dd", { class: "value" }), make("dd", { class: "detail" })));
    const [dt, dd, more] = list.children[i].children;
    say(dt, name);
    say(dd, value);
    say(more, detail);
  });
}
