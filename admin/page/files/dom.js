// Elements are made from text alone: nothing that a server or a user wrote is read as markup.

const svgNames = new Set(["svg", "path", "circle", "rect", "text", "g", "line", "title", "polyline", "polygon"]);

// make returns an element. Attributes that are null, undefined or false are left out; functions are listeners.
export function make(name, attributes = {}, ...children) {
  const e = svgNames.has(name) ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  set(e, attributes);
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

// set sets attributes that differ.
export function set(e, attributes) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") e.addEventListener(key, value);
    else if (value === null || value === undefined || value === false) e.removeAttribute(key);
    else if (e.getAttribute(key) !== String(value)) e.setAttribute(key, value === true ? "" : value);
  }
  return e;
}

// say replaces the text of an element if it differs: a screen reader would read it again.
export function say(e, text) {
  if (e.textContent !== text) e.textContent = text;
  return e;
}

export const byId = (id) => document.getElementById(id);
