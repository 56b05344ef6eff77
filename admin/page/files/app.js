// The status page: what arrives from tether goes to the parts of the page, which show it.

import { showAffinity } from "./affinity.js";
import { byId, say } from "./dom.js";
import { showEvents, spoken } from "./events.js";
import { startFinding } from "./find.js";
import { Flow } from "./flow.js";
import { ago, clock, plural } from "./format.js";
import { History } from "./history.js";
import { follow, useToken } from "./live.js";
import { showTable } from "./table.js";
import { showTiles } from "./tiles.js";

const state = { now: null, history: new History(), arrived: 0, lostAt: 0, why: "" };
const flow = new Flow(byId("flow"), byId("flow-key"));

function show(now) {
  state.now = now;
  state.arrived = performance.now();
  state.history.add(now);
  const down = now.upstreams.filter((u) => u.health !== "up").length;
  say(document.querySelector("title"), down ? `${down} down · tether` : "tether");
  say(byId("about"), `${now.version} · up ${ago(now.started, new Date(now.at))} · placement ${now.placement}`);
  showTiles(byId("tiles"), now);
  flow.show(now);
  showTable(byId("table"), now, state.history);
  showAffinity(byId("affinity"), now, state.history);
  showEvents(byId("events"), state.history.events);
  const news = spoken(state.history.events);
  if (news) say(byId("spoken"), news);
  say(byId("foot"), `tether ${now.version} · ${plural(now.pages, "page")} open · ${plural(now.sessions, "pin")} of at most ${now.max_sessions.toLocaleString("en")}`);
}

// showLink says whether the figures are those of now. It runs each second, so that the age of lost figures is right.
function showLink() {
  const lost = state.lostAt > 0;
  byId("link").dataset.state = lost ? "lost" : state.now ? "live" : "waiting";
  document.body.classList.toggle("stale", lost && state.now !== null);
  say(byId("link-text"), lost ? "connection lost" : state.now ? "live" : "connecting");
  byId("lost").hidden = !lost;
  if (!lost) return;
  const since = state.now ? `The figures below are those of ${clock(state.now.at)}.` : "";
  say(byId("lost"), `The connection to tether is lost${state.why ? ` (${state.why})` : ""}. ${since} Trying again.`);
}

// askToken resolves once the user has entered a token.
function askToken(wrong) {
  const form = byId("token");
  form.hidden = false;
  if (wrong) say(byId("token-why"), "That was not the token of admin.token_file. Try again.");
  byId("token-value").focus();
  return new Promise((done) => {
    form.addEventListener(
      "submit",
      (e) => {
        e.preventDefault();
        useToken(byId("token-value").value.trim());
        byId("token-value").value = "";
        form.hidden = true;
        done();
      },
      { once: true },
    );
  });
}

startFinding(() => state.now);
setInterval(showLink, 1000);
follow({
  past: (history) => state.history.reset(history),
  now: show,
  live() {
    state.lostAt = 0;
    showLink();
  },
  lost(why) {
    state.lostAt ||= performance.now();
    state.why = why;
    showLink();
  },
  refused: askToken,
});
