// Which rows take part: cameras, times, tags, visibility; how many; whether the clothes are the same.
import { byId, el } from "./dom.js";
import { isDate, moment, seconds } from "./format.js";

/** Show the cameras and the times of a gallery. */
export function offerFilters(gallery) {
  const boxes = gallery.cameras.map((camera) => el("label", {}, el("input", { type: "checkbox", name: "camera", value: camera }), el("span", {}, camera)));
  byId("cameras").replaceChildren(el("legend", {}, "Cameras"), ...boxes);
  document.querySelector(".times").classList.toggle("dates", gallery.start !== null && isDate(gallery.start));
  for (const [id, value] of [["start", gallery.start], ["end", gallery.end]]) {
    const field = byId(id);
    const dates = value !== null && isDate(value);
    field.value = "";
    field.type = dates ? "datetime-local" : "text";
    field.step = dates ? "1" : "";
    field.placeholder = value === null ? "not known" : dates ? "" : moment(value);
    field.disabled = value === null;
  }
}

/** Return the part of a search that the form says; throws an Error with words where it says nonsense. */
export function readFilters() {
  const where = {};
  const cameras = [...document.querySelectorAll("#cameras input:checked")].map((input) => input.value);
  if (cameras.length) where.cameras = cameras;
  for (const [id, name] of [["start", "From"], ["end", "To"]]) {
    const value = seconds(byId(id).value);
    if (Number.isNaN(value)) throw new Error(`"${name}" is no time: write 1:05:30, or seconds.`);
    if (value !== null) where[id] = value;
  }
  if (where.start > where.end) throw new Error('"From" is after "To".');
  const tags = byId("tags").value.split(",").map((tag) => tag.trim()).filter(Boolean);
  if (tags.length) where.tags = tags;
  const visible = Number(byId("visible").value);
  if (visible) where.min_visible = visible / 100;
  return {
    where,
    mode: document.querySelector("input[name=mode]:checked").value,
    rows: byId("rows").value,
    rerank: byId("rerank").checked,
    top: Number(byId("top").value),
    why: byId("why").value.trim(),
  };
}

byId("visible").addEventListener("input", (event) => {
  const value = event.target.value;
  byId("visible-value").textContent = value === "0" ? "any" : `${value} %`;
});
