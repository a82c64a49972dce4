// Sightings over time, a lane a camera; of one person the path, its transitions, and what cannot be one person.
import { byId, el, svg } from "./dom.js";
import { behind, duration, isDate, timeText, place } from "./format.js";
import { t, tn } from "./words.js";

const LANE = 30;
const LEFT = 84;
const BOTTOM = 26;
const TOP = 8;
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 2592000];

/**
 * Draw hits that have a time; `lit(item, on)` lights the card of a sighting, `open(item)` goes to it. Only where they are
 * of one person (`joined`) is there a path from one to the next: all results are of many.
 */
export function drawTimeline(hits, { lit, open, joined, limits }) {
  const seen = hits.filter((hit) => hit.item.time !== null).sort((a, b) => a.item.time - b.item.time);
  const root = byId("timeline");
  if (!seen.length) {
    root.replaceChildren(el("p", {}, t(hits.length ? "timeline.no-times" : "timeline.none")));
    byId("transitions").replaceChildren();
    return;
  }
  const cameras = [...new Set(seen.map((hit) => hit.item.camera ?? t("timeline.unknown")))].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
  const width = Math.max(260, root.clientWidth);
  const height = TOP + cameras.length * LANE + BOTTOM;
  const first = seen[0].item.time;
  const last = Math.max(...seen.map((hit) => hit.item.end ?? hit.item.time));
  const long = Math.max(last - first, 1);
  const left = Math.min(LEFT, 14 + 7.2 * Math.max(...cameras.map((camera) => camera.length)));
  const x = (time) => left + 10 + ((time - first) / long) * (width - left - 30);
  const y = (camera) => TOP + (cameras.indexOf(camera ?? t("timeline.unknown")) + 0.5) * LANE;
  const drawing = svg("svg", { height, role: "group", "aria-label": t("timeline.label", { sightings: tn("count.sighting", seen.length), cameras: tn("count.camera", cameras.length) }) });
  for (const camera of cameras) {
    drawing.append(svg("line", { class: "lane", x1: left, x2: width - 8, y1: y(camera), y2: y(camera) }));
    drawing.append(svg("text", { x: 0, y: y(camera) + 4 }, camera.length > 11 ? `${camera.slice(0, 10)}…` : camera));
  }
  for (const time of ticks(first, last, width)) {
    drawing.append(svg("text", { x: x(time), y: height - 6, "text-anchor": "middle" }, isDate(first) && long > 86400 ? timeText(time).split(",")[0] : timeText(time, true)));
  }
  const wrong = joined ? findImpossible(seen, limits) : [];
  const flagged = new Set(wrong.flatMap(({ first, second }) => [first, second]));
  if (joined) drawing.append(...byClock(seen).map((own) => svg("polyline", { class: "path", points: own.map((hit) => `${x(hit.item.time)},${y(hit.item.camera)}`).join(" ") })));
  for (const hit of seen) {
    const begin = x(hit.item.time);
    const end = x(hit.item.end ?? hit.item.time);
    const words = t(flagged.has(hit) ? "timeline.not-one" : "timeline.sighting", { n: hit.rank, place: place(hit.item) });
    drawing.append(svg("rect", {
      class: flagged.has(hit) ? "sighting impossible" : "sighting", x: begin - 6, y: y(hit.item.camera) - 7, width: Math.max(12, end - begin + 12), height: 14, rx: 7,
      tabindex: 0, role: "button", "aria-label": words, "data-item": hit.item.id,
      click: () => open(hit.item), pointerenter: () => lit(hit.item, true), pointerleave: () => lit(hit.item, false),
      focus: () => lit(hit.item, true), blur: () => lit(hit.item, false),
      keydown: (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); open(hit.item); } },
    }, svg("title", {}, words)));
  }
  root.replaceChildren(drawing);
  byId("transitions").replaceChildren(...(joined ? [...transitions(seen), ...warnings(wrong)] : [el("p", { class: "quiet" }, t("timeline.no-path"))]));
}

function ticks(first, last, width) {
  const most = Math.max(2, Math.floor(width / 110));
  const step = STEPS.find((s) => (last - first) / s <= most) ?? (last - first) / most;
  // Whole steps of the time zone, so that days begin at midnight.
  const shift = isDate(first) ? behind(first) : 0;
  const out = [];
  for (let time = Math.ceil((first - shift) / step) * step + shift; time <= last; time += step) out.push(time);
  return out.length ? out : [first];
}

/** Sightings by clock, in order: dates are of one, other times count from the start of each recording and say nothing of another. */
const byClock = (seen) => [...Map.groupBy(seen, ({ item }) => (isDate(item.time) ? "" : item.source)).values()];

/** Pairs of sightings, in order of time, of which the second follows the first by one clock. */
export const following = (seen) => byClock(seen).flatMap((own) => own.slice(1).map((after, n) => [own[n], after]));

/** How often one sighting follows another at another camera, with the times between. */
export function countTransitions(seen) {
  const transitions = new Map();
  for (const [{ item: before }, { item: after }] of following(seen)) {
    if (before.camera === null || after.camera === null || before.camera === after.camera) continue;
    const name = `${before.camera} → ${after.camera}`;
    transitions.set(name, [...(transitions.get(name) ?? []), Math.max(0, after.time - (before.end ?? before.time))]);
  }
  return [...transitions].map(([name, times]) => ({ name, times: times.sort((a, b) => a - b) })).sort((a, b) => b.times.length - a.times.length);
}

/**
 * Pairs of sightings that are not one person: at two cameras at once, or too far apart for the time between them. Distances,
 * the greatest speed and how far clocks may differ are those of the gallery.
 */
export function findImpossible(seen, { distances, max_speed: speed, clock_seconds: clock }) {
  const apart = new Map(distances.map(({ cameras, metres }) => [cameras.join("\n"), metres]));
  const wrong = [];
  for (const own of byClock(seen)) own.forEach((first, n) => {
    for (const second of own.slice(n + 1)) {
      const [left, reached] = [first.item.camera, second.item.camera];
      if (left === null || reached === null || left === reached) continue;
      const seconds = second.item.time - (first.item.end ?? first.item.time);
      const metres = apart.get(`${left}\n${reached}`) ?? apart.get(`${reached}\n${left}`);
      if (seconds < -clock) wrong.push({ first, second, words: t("timeline.overlap", { reached, left, time: duration(seconds) }) });
      else if (metres > speed * Math.max(0, seconds + clock)) wrong.push({ first, second, words: t("timeline.fast", { metres: Math.round(metres), left, reached, time: duration(Math.max(0, seconds)) }) });
    }
  });
  return wrong;
}

function warnings(wrong) {
  if (!wrong.length) return [];
  const more = wrong.length - 3;
  return [el("div", { class: "impossible-words" }, el("strong", {}, t("timeline.not-one-person")), ...wrong.slice(0, 3).map(({ first, second, words }) => el("p", {}, t("timeline.pair", { first: first.rank, second: second.rank, words }))), more > 0 ? el("p", {}, tn("timeline.more", more)) : null)];
}

function transitions(seen) {
  const transitions = countTransitions(seen).slice(0, 6);
  if (!transitions.length) return [];
  const rows = transitions.map(({ name, times }) => el("tr", {}, el("td", {}, name), el("td", {}, String(times.length)), el("td", {}, duration(times[0]))));
  return [el("table", {}, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("timeline.between")), el("th", { scope: "col" }, t("timeline.times")), el("th", { scope: "col" }, t("timeline.fastest")))), el("tbody", {}, ...rows))];
}
