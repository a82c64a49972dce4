// The floor plan of a gallery: everybody sees where the cameras stand; an admin sends its image and places them.
import { ask, askJson, blobOf } from "./api.js";
import { byId, el, say, svg } from "./dom.js";
import { pin, planDrawing } from "./plan.js";
import { timeText } from "./format.js";
import { t } from "./words.js";

const ENDS = ["scale:start", "scale:end"];
const NUDGES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** `on` has run(promise), gallery(), admin(), found(plan or null), changed() (distances are others now). */
export function createPlanEditor(on) {
  let plan = null;
  let points = new Map(); // camera, or an end of the scale -> {x, y}
  let chosen = null;
  let metres = "";
  let unsaved = false;

  const path = () => `/galleries/${on.gallery().name}/plan`;

  /** Read the plan of the gallery that is shown. */
  async function begin() {
    take(on.gallery() ? await askJson(path()) : null);
    if (plan) plan.image = await blobOf(`${path()}/image`);
    document.querySelector("nav [data-view=plan]").hidden = !plan && !(on.admin() && on.gallery());
    on.found(plan);
  }

  function take(found) {
    if (plan?.image) URL.revokeObjectURL(plan.image);
    plan = found;
    points = new Map((found?.cameras ?? []).map(({ camera, x, y }) => [camera, { x, y }]));
    if (found?.scale) ENDS.forEach((end) => points.set(end, found.scale[end.split(":")[1]]));
    metres = found?.scale ? String(found.scale.metres) : "";
    chosen = null;
    unsaved = false;
  }

  function show() {
    const body = byId("plan-body");
    const head = [el("h2", { id: "plan-title", tabindex: "-1" }, t("plan.title", { gallery: on.gallery()?.name ?? "" }))];
    if (!on.gallery()) {
      body.replaceChildren(...head, el("p", { class: "quiet" }, t("add.no-gallery")));
      return;
    }
    head.push(el("p", { class: "quiet" }, t("plan.words")));
    body.replaceChildren(...head, on.admin() ? sender() : "", plan ? el("div", { class: "plan-split" }, el("div", { id: "plan-map" }), on.admin() ? tools() : facts()) : el("p", { class: "quiet" }, t("plan.none")));
    if (plan) paint();
  }

  function sender() {
    const file = el("input", { id: "plan-file", type: "file", accept: "image/*", change: () => {
      const [image] = file.files;
      if (image && (!plan || confirm(t("plan.replace")))) on.run(ask(path(), { body: image }).then(begin).then(show));
      file.value = "";
    } });
    return el("div", { class: "begin" }, el("label", {}, t(plan ? "plan.another" : "plan.send"), file),
      plan ? el("button", { type: "button", class: "plain danger", id: "plan-remove", click: () => {
        if (confirm(t("plan.sure"))) on.run(ask(path(), { method: "DELETE" }).then(begin).then(on.changed).then(show));
      } }, t("plan.remove")) : null);
  }

  const facts = () => el("p", { class: "quiet" }, t("plan.changed", { who: plan.who, when: timeText(plan.changed) }));

  function tools() {
    const names = [...new Set([...on.gallery().cameras, ...plan.cameras.map((one) => one.camera)])];
    const entry = (name) => el("li", {}, el("button", { type: "button", class: "plan-entry", "data-place": name, "aria-pressed": "false", click: (event) => choose(name, event.detail === 0) }, named(name)),
      el("button", { type: "button", class: "plain", "aria-label": t("plan.take-off", { name: named(name) }), "data-take-off": name, click: () => takeOff(name) }, "×"));
    const length = el("input", { id: "plan-metres", inputmode: "decimal", autocomplete: "off", value: metres, input: () => { metres = length.value; touched(); } });
    return el("div", { class: "plan-tools" }, el("p", {}, t("plan.how")),
      el("h3", {}, t("query.cameras")), el("ul", { class: "plan-entries" }, ...names.map(entry)),
      el("h3", {}, t("plan.scale")), el("ul", { class: "plan-entries" }, ...ENDS.map(entry)),
      el("label", {}, t("plan.metres"), length),
      el("p", { id: "plan-error", class: "error", role: "alert", hidden: true }),
      el("div", { class: "row" }, el("button", { type: "button", class: "primary", id: "plan-save", disabled: !unsaved, click: () => on.run(save()) }, t("text.save")), el("span", { id: "plan-state", class: "quiet", role: "status" })),
      facts());
  }

  const named = (name) => (name === ENDS[0] ? t("plan.start") : name === ENDS[1] ? t("plan.end") : name);

  /** Take what the next click on the plan places; by a key it is put in the middle, to be moved by arrows. */
  function choose(name, byKey) {
    chosen = name;
    if (byKey && !points.has(name)) put(name, { x: plan.width / 2, y: plan.height / 2 });
    paint();
    if (byKey) byId("plan-map").querySelector(`[data-point="${CSS.escape(name)}"]`).focus();
    else say(t("plan.click", { name: named(name) }));
  }

  function put(name, { x, y }) {
    const inside = (value, most) => Math.round(Math.min(Math.max(value, 0), most) * 10) / 10;
    points.set(name, { x: inside(x, plan.width), y: inside(y, plan.height) });
    touched();
  }

  function takeOff(name) {
    if (points.delete(name)) touched();
    paint();
  }

  function touched() {
    unsaved = true;
    byId("plan-save").disabled = false;
    byId("plan-state").textContent = t("plan.unsaved");
  }

  function paint() {
    const { drawing, unit } = planDrawing(plan, t("plan.title", { gallery: on.gallery().name }));
    const [start, end] = ENDS.map((name) => points.get(name));
    if (start && end) drawing.append(svg("line", { class: "scale", x1: start.x, y1: start.y, x2: end.x, y2: end.y, "stroke-width": 0.5 * unit }));
    for (const [name, place] of points) {
      const mark = pin(named(name), place, unit, ENDS.includes(name) ? "end" : "pin");
      if (on.admin()) arm(mark, name, unit);
      drawing.append(mark);
    }
    if (on.admin()) {
      drawing.addEventListener("click", (event) => {
        if (!chosen) return;
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(drawing.getScreenCTM().inverse());
        put(chosen, at);
        paint();
      });
      drawing.classList.toggle("placing", Boolean(chosen));
    }
    byId("plan-map").replaceChildren(drawing);
    for (const button of document.querySelectorAll(".plan-entry")) {
      button.setAttribute("aria-pressed", String(button.dataset.place === chosen));
      button.classList.toggle("placed", points.has(button.dataset.place));
      document.querySelector(`[data-take-off="${CSS.escape(button.dataset.place)}"]`).hidden = !points.has(button.dataset.place);
    }
  }

  /** Let a mark be moved by arrow keys; with Shift by small steps. */
  function arm(mark, name, unit) {
    mark.setAttribute("tabindex", "0");
    mark.setAttribute("role", "button");
    mark.setAttribute("data-point", name);
    mark.setAttribute("aria-label", t("plan.mark", { name: named(name) }));
    mark.addEventListener("keydown", (event) => {
      const direction = NUDGES[event.key];
      if (!direction) return;
      event.preventDefault();
      const step = event.shiftKey ? unit / 5 : unit;
      const { x, y } = points.get(name);
      put(name, { x: x + step * direction[0], y: y + step * direction[1] });
      paint();
      byId("plan-map").querySelector(`[data-point="${CSS.escape(name)}"]`).focus();
      say(t("plan.at", { name: named(name), x: Math.round(points.get(name).x), y: Math.round(points.get(name).y) }));
    });
  }

  function complain(words) {
    byId("plan-error").textContent = words;
    byId("plan-error").hidden = !words;
  }

  async function save() {
    const [start, end] = ENDS.map((name) => points.get(name));
    const length = Number(metres.trim().replace(",", "."));
    const scaled = start || end || metres.trim();
    complain(scaled && !(start && end && length > 0) ? t("plan.no-scale") : "");
    if (!byId("plan-error").hidden) return;
    const cameras = [...points].filter(([name]) => !ENDS.includes(name)).map(([camera, place]) => ({ camera, ...place }));
    const saved = await askJson(path(), { json: { cameras, scale: scaled ? { start, end, metres: length } : null, version: plan.version }, method: "PUT" });
    const { image } = plan;
    plan = null; // its image is used on
    take({ ...saved, image });
    on.found(plan);
    await on.changed();
    show();
    byId("plan-state").textContent = t("text.saved");
  }

  addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
  return { begin, show };
}
