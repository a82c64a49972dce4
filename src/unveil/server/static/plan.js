// A floor plan as a drawing: cameras where they stand, and the path of one person from one to the next.
import { el, svg } from "./dom.js";
import { duration } from "./format.js";
import { following } from "./timeline.js";
import { t, tn } from "./words.js";

/** Return the drawing of a plan with its cameras; sizes are in pixels of its image, so that nothing depends on the screen. */
export function planDrawing(plan, label) {
  const unit = Math.max(plan.width, plan.height) / 100;
  const drawing = svg("svg", { class: "plan", viewBox: `0 0 ${plan.width} ${plan.height}`, role: "group", "aria-label": label },
    svg("image", { href: plan.image, width: plan.width, height: plan.height }));
  return { drawing, unit };
}

/** Return the mark of a camera. */
export function pin(camera, { x, y }, unit, kind = "pin") {
  return svg("g", { class: kind === "pin" ? kind : `pin ${kind}`, transform: `translate(${x} ${y})` },
    svg("circle", { r: 1.3 * unit, "stroke-width": 0.35 * unit }),
    svg("text", { y: -2.1 * unit, "text-anchor": "middle", "font-size": 2.4 * unit, "stroke-width": 0.5 * unit }, camera));
}

/**
 * Draw the path of one person, whose sightings are in order of time, over a plan: a line for each transition between two cameras,
 * in another colour and dashed where one person cannot have gone it.
 */
export function drawPlan(plan, seen, wrong) {
  const places = new Map(plan.cameras.map((one) => [one.camera, one]));
  const known = seen.filter((hit) => places.has(hit.item.camera));
  const { drawing, unit } = planDrawing(plan, t("plan.path-label", { sightings: tn("count.sighting", known.length) }));
  const marker = (name) => svg("marker", { id: name, viewBox: "0 0 6 6", refX: 5, refY: 3, markerWidth: 4, markerHeight: 4, orient: "auto" }, svg("path", { class: name, d: "M0 0L6 3L0 6z" }));
  drawing.append(svg("defs", {}, marker("arrow"), marker("arrow-wrong")));
  const impossible = new Map(wrong.map((one) => [`${one.first.item.id} ${one.second.item.id}`, one.words]));
  const transitions = new Map();
  for (const [before, after] of following(known)) {
    if (before.item.camera === after.item.camera) continue;
    const words = impossible.get(`${before.item.id} ${after.item.id}`);
    const key = `${before.item.camera}\n${after.item.camera}\n${words ? "wrong" : ""}`;
    const told = words ?? t("plan.from-to", { from: before.item.camera, to: after.item.camera, time: duration(Math.max(0, after.item.time - (before.item.end ?? before.item.time))) });
    transitions.set(key, { from: places.get(before.item.camera), to: places.get(after.item.camera), wrong: Boolean(words), words: [...(transitions.get(key)?.words ?? []), told] });
  }
  for (const { from, to, wrong: bad, words } of transitions.values()) {
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const long = Math.max(Math.hypot(dx, dy), 1);
    const [gap, side] = [(2 * unit) / long, (0.6 * unit) / long];
    // Beside the straight line, so that going and coming are two lines.
    drawing.append(svg("line", { class: bad ? "leg impossible" : "leg", "stroke-width": 0.6 * unit, "stroke-dasharray": bad ? `${1.6 * unit} ${unit}` : null, "marker-end": `url(#${bad ? "arrow-wrong" : "arrow"})`,
      x1: from.x + gap * dx - side * dy, y1: from.y + gap * dy + side * dx, x2: to.x - gap * dx - side * dy, y2: to.y - gap * dy + side * dx }, svg("title", {}, words.join("\n"))));
  }
  const counts = Map.groupBy(known, (hit) => hit.item.camera);
  for (const one of plan.cameras) {
    const times = counts.get(one.camera)?.length ?? 0;
    drawing.append(pin(times ? `${one.camera} (${times})` : one.camera, one, unit, times ? "seen" : "pin"));
  }
  const missing = [...new Set(seen.map((hit) => hit.item.camera).filter((camera) => !places.has(camera)))].map((camera) => camera ?? t("timeline.unknown"));
  return el("figure", { class: "plan-path" }, drawing, missing.length ? el("figcaption", { class: "quiet" }, t("plan.missing", { cameras: missing.join(", ") })) : null);
}
