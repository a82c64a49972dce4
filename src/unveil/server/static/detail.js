// A result in detail: its crop, the whole frame it was cut from, the film around it, all crops of its tracklet.
import { askJson, blobOf, thumbnail } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { count, moment, place, score } from "./format.js";
import { framed, heat, parts } from "./hits.js";

/**
 * `context` and `on` as for a card; `order` are the hits that the arrow keys step through, `named` what one of them is
 * called ("sighting" or "result").
 */
export function openDetail(hit, context, on, { order, named }) {
  const dialog = byId("detail");
  const item = hit.item;
  const at = order.indexOf(hit);
  const step = (by) => order[at + by] && openDetail(order[at + by], context, on, { order, named });
  const close = (then) => () => { dialog.close(); then?.(); };
  const viewer = createViewer(hit, context, on, dialog);
  const facts = [
    ["Camera", item.camera], ["First seen", item.time === null ? null : moment(item.time)],
    ["Last seen", item.end === null ? null : moment(item.end)], ["Label", item.person],
    ["Tags", item.tags.join(", ")], ["Visible", item.visible === null ? null : `${Math.round(100 * item.visible)} %`],
    ["Crops", item.kind === "tracklet" ? String(item.crops) : null], ["Frame", item.frame === null ? null : String(item.frame)],
    ["Source", item.source.split("/").slice(-2).join("/")], ["Row", String(item.id)],
  ].filter(([, value]) => value);
  const go = (by, words, name) => el("button", {
    type: "button", class: by < 0 ? "step before" : "step after", disabled: !order[at + by], title: `${words} ${named} (${by < 0 ? "←" : "→"})`,
    "aria-label": `${words} ${named}`, click: () => step(by),
  }, icon(name));
  dialog.replaceChildren(el("div", { class: "detail" },
    el("div", { class: "detail-head" },
      el("h2", { id: "detail-title", tabindex: "-1" }, `Result ${hit.rank}: ${score(hit)}`),
      order.length > 1 ? el("div", { class: "steps" }, go(-1, "Previous", "left"), el("span", { class: "quiet" }, `${named} ${at + 1} of ${order.length}`), go(1, "Next", "right")) : null,
      el("button", { type: "button", class: "plain", click: close() }, "Close")),
    viewer.node,
    el("div", { class: "detail-words" },
      hit.reason ? el("p", {}, hit.reason) : null,
      parts(hit, context, true),
      el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("div", { class: "actions" }, viewer.warm,
        el("button", { type: "button", click: close(() => on.from(item)) }, "Search from this"),
        el("button", { type: "button", click: close(() => on.add(item)) }, "Add to the query"),
        el("button", { type: "button", click: close(() => on.not(item)) }, "Not this person")))));
  dialog.onkeydown = (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey || event.target.closest("video, input, select")) return;
    event.preventDefault();
    step(by);
  };
  dialog.onclose = () => viewer.stop();
  if (!dialog.open) dialog.showModal();
  byId("detail-title").focus({ preventScroll: true });
  dialog.scrollTop = 0;
}

let shown = null; // the viewer whose answers still count

/** Return what shows one result as crop, frame or film. */
function createViewer(hit, context, on, dialog) {
  const addresses = [];
  const me = {};
  shown?.stop();
  shown = me;
  let row = hit.item;
  let there = null; // what the server says of the row's moment
  const stage = el("div", { class: "view-stage" });
  const words = el("p", { class: "quiet view-words", role: "status" });
  const strip = el("div", { class: "strip", role: "group", "aria-label": "Crops of this track" });
  const modes = ["crop", "frame", "film"].map((mode) => el("button", { type: "button", "aria-pressed": "false", "data-view": mode, disabled: mode !== "crop", click: () => show(mode) }, { crop: "Crop", frame: "Whole frame", film: "Play" }[mode]));
  const warm = el("button", { type: "button", "aria-pressed": "false" }, "Heat map");
  const path = () => `/galleries/${context.gallery}/items/${row.id}`;
  const failed = (error) => { if (shown === me) words.textContent = error.message; };

  const hold = async (address) => {
    const url = await blobOf(address);
    addresses.push(url);
    return url;
  };

  function press(mode) {
    for (const button of modes) button.setAttribute("aria-pressed", String(button.dataset.view === mode));
    warm.setAttribute("aria-pressed", "false");
  }

  async function show(mode) {
    const mine = row;
    press(mode);
    words.textContent = mode === "film" ? "Cutting the film…" : "";
    try {
      const node = mode === "crop" ? framed(row, context) : mode === "frame" ? await frame() : await film();
      if (shown === me && mine === row && modes.find((button) => button.dataset.view === mode).getAttribute("aria-pressed") === "true") stage.replaceChildren(node);
    } catch (error) {
      failed(error);
    }
  }

  async function frame() {
    const box = there.box;
    const spot = box ? el("div", { class: "spot" }) : null;
    if (spot) {
      spot.style.left = `${(100 * box[0]) / there.width}%`;
      spot.style.top = `${(100 * box[1]) / there.height}%`;
      spot.style.width = `${(100 * box[2]) / there.width}%`;
      spot.style.height = `${(100 * box[3]) / there.height}%`;
    }
    const image = el("img", { src: await hold(`${path()}/frame`), alt: `The whole frame: ${place(row) || "no place known"}` });
    await image.decode();
    return el("div", { class: "whole" }, image, spot);
  }

  async function film() {
    const clip = await askJson(`${path()}/clips`, { json: {} });
    const url = await hold(`/galleries/${context.gallery}/clips/${clip.clip}`);
    const seconds = (value) => value.toFixed(1);
    words.textContent = `${seconds(clip.end - clip.start)} s without sound; this crop is at ${seconds(clip.at)} s. ${clip.copied ? "The film's own pictures." : "Encoded anew for the browser."}`;
    return el("video", { src: url, controls: true, autoplay: true, muted: true, playsinline: true, "aria-label": "The film around this sighting" });
  }

  async function look(next) {
    row = next;
    there = null;
    for (const button of strip.children) button.setAttribute("aria-current", String(Number(button.dataset.item) === row.id));
    for (const button of modes.slice(1)) button.disabled = true;
    await show("crop");
    let said;
    try {
      said = await askJson(`${path()}/moment`);
    } catch (error) {
      failed(error);
      return;
    }
    if (shown !== me || row !== next) return;
    there = said;
    if (!strip.children.length) fill(said.crops);
    modes[1].disabled = said.state !== "there";
    modes[2].disabled = !said.film;
    modes[2].title = said.state === "there" && !said.film ? "It came from an image: there is nothing to play" : "";
    if (said.state === "there" && said.box) await show("frame");
    else if (said.words) words.textContent = `Only the crop: ${said.words}.`;
  }

  function fill(crops) {
    if (crops.length < 2) return;
    strip.append(...crops.map((crop, n) => {
      const image = el("img", { alt: "" });
      thumbnail(context.gallery, crop.id).then((url) => { image.src = url; }, () => {});
      const own = hit.item.frame === crop.frame && String(hit.item.box) === String(crop.box);
      return el("button", { type: "button", "data-item": crop.id, "aria-current": String(crop.id === row.id || own), "aria-label": `Crop ${n + 1} of ${crops.length}${crop.time === null ? "" : `, ${moment(crop.time, true)}`}`, click: () => look(crop) }, image);
    }));
    strip.before(el("p", { class: "quiet strip-title" }, `${count(crops.length, "crop")} of this track`));
  }

  warm.addEventListener("click", async () => {
    if (row !== hit.item) await look(hit.item);
    if (!stage.querySelector(".framed")) await show("crop");
    heat(stage.querySelector(".framed"), warm, hit, context, { ...on, failed: (error) => { dialog.close(); on.failed(error); } });
  });
  me.stop = () => {
    if (shown === me) shown = null;
    stage.replaceChildren();
    addresses.forEach((url) => URL.revokeObjectURL(url));
  };
  me.warm = warm;
  me.node = el("div", { class: "view" }, stage, el("div", { class: "view-tools" }, el("span", { class: "group", role: "group", "aria-label": "What is shown" }, ...modes), words), strip);
  look(row);
  return me;
}
