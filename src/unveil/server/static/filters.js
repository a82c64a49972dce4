// Which rows take part: cameras, times, tags, visibility; how many; whether the clothes are the same.
import { readLooks, writeLooks } from "./attributes.js";
import { byId, el } from "./dom.js";
import { isDate, timeText, seconds, written } from "./format.js";
import { t } from "./words.js";

/** Show the cameras and the times of a gallery. */
export function offerFilters(gallery) {
  const boxes = gallery.cameras.map((camera) => el("label", {}, el("input", { type: "checkbox", name: "camera", value: camera }), el("span", {}, camera)));
  byId("cameras").replaceChildren(el("legend", {}, t("query.cameras")), ...boxes);
  document.querySelector(".times").classList.toggle("dates", gallery.start !== null && isDate(gallery.start));
  for (const [id, value] of [["start", gallery.start], ["end", gallery.end]]) {
    const field = byId(id);
    const dates = value !== null && isDate(value);
    field.value = "";
    field.type = dates ? "datetime-local" : "text";
    field.step = dates ? "1" : "";
    field.placeholder = value === null ? t("query.not-known") : dates ? "" : timeText(value);
    field.disabled = value === null;
  }
}

/** Fill the form with what a search was asked with before. */
export function writeFilters({ where = {}, mode = "same", rows = "tracklet", rerank = false, top = 20, why = "" }) {
  for (const input of document.querySelectorAll("#cameras input")) input.checked = (where.cameras ?? []).includes(input.value);
  for (const id of ["start", "end"]) byId(id).value = where[id] === undefined || where[id] === null ? "" : written(where[id]);
  byId("tags").value = (where.tags ?? []).join(", ");
  byId("visible").value = String(100 * (where.min_visible ?? 0));
  byId("visible").dispatchEvent(new Event("input"));
  writeLooks(where);
  document.querySelector(`input[name=mode][value=${mode}]`).checked = true;
  byId("rows").value = rows;
  byId("rerank").checked = rerank;
  byId("top").value = String(top);
  byId("why").value = why;
}

/** Return the part of a search that the form says; throws an Error with words where it says nonsense. */
export function readFilters() {
  const where = {};
  const cameras = [...document.querySelectorAll("#cameras input:checked")].map((input) => input.value);
  if (cameras.length) where.cameras = cameras;
  for (const [id, name] of [["start", t("query.from")], ["end", t("query.to")]]) {
    const value = seconds(byId(id).value);
    if (Number.isNaN(value)) throw new Error(t("query.no-time", { name }));
    if (value !== null) where[id] = value;
  }
  if (where.start > where.end) throw new Error(t("query.order", { from: t("query.from"), to: t("query.to") }));
  const tags = byId("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (tags.length) where.tags = tags;
  const visible = Number(byId("visible").value);
  if (visible) where.min_visible = visible / 100;
  return {
    where: { ...where, ...readLooks() },
    mode: document.querySelector("input[name=mode]:checked").value,
    rows: byId("rows").value,
    rerank: byId("rerank").checked,
    top: Number(byId("top").value),
    why: byId("why").value.trim(),
  };
}

byId("visible").addEventListener("input", (event) => {
  const value = event.target.value;
  byId("visible-value").textContent = value === "0" ? t("query.any") : `${value} %`;
});
