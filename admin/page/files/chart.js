// Small charts, as SVG.

import { make, set } from "./dom.js";

// minutes is the time that charts of so many samples show: 5 minutes, until there is more.
export const minutes = (samples) => (samples > 30 ? 15 : 5);

// placesOf is the number of samples, one each 10 seconds, that the width of a chart has.
const placesOf = (samples) => 6 * minutes(samples);

// line returns a sparkline of values, with the samples in which errors happened marked. It grows from the right.
export function line(values, errors, text) {
  const width = 104;
  const height = 26;
  const places = placesOf(values.length);
  const most = Math.max(1, ...values);
  const x = (i) => ((i + places - values.length) / (places - 1)) * width;
  const y = (v) => height - 2 - (v / most) * (height - 6);
  const points = values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
  const svg = make("svg", { class: "spark", role: "img", "aria-label": text, width, height, viewBox: `0 0 ${width} ${height}` });
  svg.append(make("line", { class: "floor", x1: 0, x2: width, y1: height - 0.5, y2: height - 0.5 }));
  if (points.length > 1) {
    svg.append(make("polygon", { class: "under", points: `${x(0).toFixed(1)},${height} ${points.join(" ")} ${width},${height}` }), make("polyline", { points: points.join(" ") }));
  }
  errors.forEach((n, i) => n && svg.append(make("line", { class: "error", x1: x(i).toFixed(1), x2: x(i).toFixed(1), y1: height - 4, y2: height })));
  return svg;
}

// areas draws stacked shares into svg: samples are objects, keys the figures from the bottom up.
export function areas(svg, samples, keys) {
  const width = 900;
  const height = 140;
  set(svg, { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", class: "areas" });
  const places = placesOf(samples.length);
  const x = (i) => ((i + places - samples.length) / (places - 1)) * width;
  const most = Math.max(1, ...samples.map((s) => keys.reduce((n, k) => n + (s[k] ?? 0), 0)));
  const y = (v) => height - (v / most) * (height - 6);
  const floor = samples.map(() => 0);
  svg.replaceChildren(...keys.map((key) => {
    const low = samples.map((_, i) => `${x(i).toFixed(1)},${y(floor[i]).toFixed(1)}`);
    samples.forEach((s, i) => (floor[i] += s[key] ?? 0));
    const high = samples.map((_, i) => `${x(i).toFixed(1)},${y(floor[i]).toFixed(1)}`);
    return make("polygon", { class: `area ${key}`, points: [...high, ...low.reverse()].join(" ") });
  }));
  return most;
}
