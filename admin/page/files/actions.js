// What an operator does: each action asks once, and shows its outcome.

import { byId, make, say } from "./dom.js";
import { shown } from "./format.js";
import { call, Refusal } from "./live.js";

// ask asks whether to act. act returns the text of the outcome; an error is an outcome too.
export function ask({ title, text, yes, act, done }) {
  const dialog = byId("ask");
  const [form, confirm, cancel, outcome] = ["ask-form", "ask-yes", "ask-no", "ask-outcome"].map(byId);
  say(byId("ask-title"), title);
  byId("ask-text").replaceChildren(...text);
  say(confirm, yes);
  say(cancel, "Cancel");
  say(outcome, "");
  outcome.className = "";
  confirm.hidden = confirm.disabled = false;
  cancel.onclick = () => dialog.close();
  form.onsubmit = async (e) => {
    e.preventDefault();
    confirm.disabled = true;
    say(outcome, "…");
    const [ok, said] = await attempt(act);
    outcome.className = ok ? "good" : "bad";
    say(outcome, said);
    confirm.hidden = true;
    say(cancel, "Close");
    cancel.focus();
    done?.();
  };
  dialog.showModal();
  cancel.focus();
}

// attempt returns whether an action succeeded, and what to say.
async function attempt(act) {
  try {
    return [true, await act()];
  } catch (e) {
    if (e instanceof Refusal && e.status === 401) return [false, "The admin token is no longer right: load the page again, and enter it."];
    if (e instanceof Refusal) return [false, e.message];
    return [false, "tether did not answer. Nothing may have changed."];
  }
}

const path = (name, verb) => `api/upstreams/${encodeURIComponent(name)}/${verb}`;

export function drain(name) {
  const choice = (value, title, detail, checked) =>
    make("label", { class: "choice" }, make("input", { type: "radio", name: "move", value, checked }), make("span", {}, make("b", {}, title), ` ${detail}`));
  const choices = make("fieldset", {}, make("legend", {}, "Its conversations"),
    choice("never", "stay", "until they end.", true),
    choice("idle", "move when idle,", "and all of them after 10 minutes."),
    choice("now", "move now,", "each with its next turn."));
  ask({
    title: `Drain ${shown(name)}?`,
    text: [make("p", {}, "New conversations go to other upstreams. Requests in flight finish."), choices],
    yes: "Drain",
    async act() {
      const move = choices.querySelector("input:checked").value;
      await call("POST", `${path(name, "drain")}?move=${move}`);
      return `${shown(name)} drains.`;
    },
  });
}

export function undrain(name) {
  ask({
    title: `End the drain of ${shown(name)}?`,
    text: [make("p", {}, "It gets new conversations again. Those that moved stay where they are.")],
    yes: "End the drain",
    async act() {
      const u = await call("POST", path(name, "undrain"));
      return u.state?.includes("draining") ? `${shown(name)} still drains: its configuration says so.` : `${shown(name)} gets new conversations again.`;
    },
  });
}

const sessionPath = (id) => `api/sessions/${encodeURIComponent(id)}`;
const under = (model) => (model ? `under the model ${shown(model)}` : "without a model");
const where = (sessions) => sessions.map((s) => `${s.from ? `${shown(s.from)} → ` : ""}${shown(s.upstream)}`).join(", ");

export function forget(id, model, done) {
  ask({
    title: "Forget this conversation?",
    text: [make("p", {}, `Its pin ${under(model)} goes. Its next turn is placed like a first one, and may find no cache.`)],
    yes: "Forget",
    done,
    async act() {
      const { sessions } = await call("DELETE", `${sessionPath(id)}?model=${encodeURIComponent(model)}`);
      return `Forgotten. It was at ${where(sessions)}.`;
    },
  });
}

export function move(id, model, to, done) {
  ask({
    title: `Move this conversation to ${shown(to)}?`,
    text: [make("p", {}, `Its pin ${under(model)} changes at once. Its next turn finds no cache there.`)],
    yes: "Move",
    done,
    async act() {
      const { sessions } = await call("POST", `${sessionPath(id)}/move?to=${encodeURIComponent(to)}&model=${encodeURIComponent(model)}`);
      return `Moved: ${where(sessions)}.`;
    },
  });
}
