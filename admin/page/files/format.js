// Numbers and times as people read them.

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export const count = (n) => plain.format(n);
export const compact = (n) => (n < 10000 ? plain.format(n) : short.format(n));

export function rate(n) {
  if (n === 0) return "0";
  return n < 10 ? n.toFixed(1) : compact(Math.round(n));
}

export function percent(part, whole) {
  if (!whole) return "–";
  const p = (100 * part) / whole;
  return `${p > 99.9 && p < 100 ? "99.9" : p.toFixed(p < 10 || p > 99 && p < 100 ? 1 : 0)} %`;
}

export function milliseconds(ms) {
  if (ms === undefined || ms === null) return "–";
  if (ms < 9.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  return seconds(ms / 1000);
}

export function seconds(s) {
  if (s < 10) return `${s.toFixed(s < 1 ? 2 : 1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

// ago returns how long before now a time was.
export const ago = (then, now) => seconds(Math.max(0, Math.round((now - new Date(then)) / 1000)));

export const clock = (at) => new Date(at).toLocaleTimeString("en-GB");

// shown makes control and direction characters visible, and shortens a name that a server or a client chose.
export function shown(text, most = 80) {
  const safe = String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "\u00b7");
  const all = [...safe];
  return all.length > most ? `${all.slice(0, most).join("")}…` : safe;
}

export const plural = (n, word) => `${compact(n)} ${word}${n === 1 ? "" : "s"}`;
