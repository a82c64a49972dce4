// What people wear and carry: chips to ask for it, words that tell it, and results by it alone.
import { byId, el } from "./dom.js";
import { t } from "./words.js";

const SWATCHES = {
  black: "#222223", grey: "#7a7a7c", white: "#f4f4f4", red: "#be282a", orange: "#eb822d", brown: "#583e2a", beige: "#d4c2a4", yellow: "#debc3c",
  olive: "#5c5a34", green: "#2a623e", blue: "#3e6aa0", navy: "#1e2648", purple: "#62407c", pink: "#da96aa",
};
const COLOURS = Object.keys(SWATCHES);
const CHOICES = {
  "upper-colour": COLOURS, "lower-colour": COLOURS, hair: ["dark", "light"], sleeves: ["long", "short"],
  legs: ["covered", "bare"], bag: ["yes", "no"], hat: ["yes", "no"],
};

const chosen = () => [...document.querySelectorAll("#wears input[name=attribute]:checked")];

/** Whether something is asked for. */
export const asksLooks = () => chosen().length > 0;

/** Return the part of a filter that the chips say. */
export function readLooks() {
  const attributes = chosen().map((input) => input.value);
  if (!attributes.length) return {};
  return byId("include-unseen").checked ? { attributes, include_unseen: true } : { attributes };
}

/** Press the chips that a filter was asked with before. */
export function writeLooks({ attributes = [], include_unseen: unseen = false }) {
  for (const input of document.querySelectorAll("#wears input[name=attribute]")) input.checked = attributes.includes(input.value);
  byId("include-unseen").checked = unseen;
  if (attributes.length) byId("wears").open = true;
  count();
}

const USUAL = ["no", "covered", "long"]; // goes without saying where there is little room

/** Return what a row's person wears; in full everything that was seen, and how much of its part shows. */
export function looks(item, { full = false } = {}) {
  const told = Object.keys(CHOICES).filter((name) => item.attributes?.[name] && (full || !USUAL.includes(item.attributes[name].main[0])));
  return told.map((name) => {
    const { main, shown } = item.attributes[name];
    if (!full && main[0] === "yes") return t(`looks.${name}`);
    const value = `${t(`looks.${name}`)}: ${main.map((one) => t(`looks.${one}`)).join(" + ")}`;
    return full ? t("looks.shown", { value, n: Math.round(100 * shown) }) : value;
  }).join(" · ");
}

/** Return rows by attributes alone in the shape of a search's answer: no query, so nothing to confirm or to export. */
export function asAnswer({ sightings, candidates, unseen, notes }) {
  const hits = sightings.map(({ item, sureness }, n) => ({ rank: n + 1, item, distance: null, probability: sureness, sureness, parts: {}, reason: looks(item) }));
  return { hits, candidates, unseen, notes, search: null, model: null, calibrated: false, match: null, threshold: null, rescored: 0, milliseconds: 0, query_hash: "" };
}

/** Say beside the summary how much is asked for: it may be closed. */
function count() {
  const n = chosen().length;
  byId("wears-count").textContent = n ? ` (${n})` : "";
}

function chip(name, value) {
  const swatch = name.endsWith("colour") ? el("i", { class: "swatch", "aria-hidden": "true" }) : null;
  if (swatch) swatch.style.background = SWATCHES[value];
  return el("label", {}, el("input", { type: "checkbox", name: "attribute", value: `${name}=${value}`, change: count }), el("span", {}, swatch, t(`looks.${value}`)));
}

const groups = Object.entries(CHOICES).map(([name, values]) => el("fieldset", { class: "cameras chips" }, el("legend", {}, t(`looks.${name}`)), ...values.map((value) => chip(name, value))));
byId("wears-chips").replaceChildren(...groups);
