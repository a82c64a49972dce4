// A result in detail: its crop, the whole frame it was cut from, the film around it, all crops of its tracklet.
import { askJson, blobOf, thumbnail } from "./api.js";
import { looks } from "./attributes.js";
import { byId, el, icon } from "./dom.js";
import { timeText, place, score } from "./format.js";
import { framed, heat, parts } from "./hits.js";
import { t, tn } from "./words.js";

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
    [t("detail.camera"), item.camera], [t("detail.first"), item.time === null ? null : timeText(item.time)],
    [t("detail.last"), item.end === null ? null : timeText(item.end)], [t("detail.label"), item.person],
    [t("looks.of"), looks(item, { full: true })],
    [t("detail.tags"), item.tags.join(", ")], [t("detail.visible"), item.visible === null ? null : `${Math.round(100 * item.visible)} %`],
    [t("detail.crops"), item.kind === "tracklet" ? String(item.crops) : null], [t("detail.frame"), item.frame === null ? null : String(item.frame)],
    [t("detail.source"), item.source.split("/").slice(-2).join("/")], [t("detail.row"), String(item.id)],
  ].filter(([, value]) => value);
  const go = (by, side, name) => el("button", {
    type: "button", class: by < 0 ? "step before" : "step after", disabled: !order[at + by], title: `${t(`detail.${side}-${named}`)} (${by < 0 ? "←" : "→"})`,
    "aria-label": t(`detail.${side}-${named}`), click: () => step(by),
  }, icon(name));
  dialog.replaceChildren(el("div", { class: "detail" },
    el("div", { class: "detail-head" },
      el("h2", { id: "detail-title", tabindex: "-1" }, t("detail.title", { n: hit.rank, score: score(hit) })),
      order.length > 1 ? el("div", { class: "steps" }, go(-1, "previous", "left"), el("span", { class: "quiet" }, t(`detail.of-${named}`, { n: at + 1, all: order.length })), go(1, "next", "right")) : null,
      el("button", { type: "button", class: "plain", click: close() }, t("page.close"))),
    viewer.node,
    el("div", { class: "detail-words" },
      hit.reason && context.search !== null ? el("p", {}, hit.reason) : null,
      parts(hit, context, true),
      el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("div", { class: "actions" }, viewer.warm,
        el("button", { type: "button", click: close(() => on.from(item)) }, t("detail.from-this")),
        el("button", { type: "button", click: close(() => on.add(item)) }, t("detail.add")),
        el("button", { type: "button", click: close(() => on.not(item)) }, t("query.not"))))));
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
  let there = null; // what the server says of the row's source frame
  const stage = el("div", { class: "view-stage" });
  const words = el("p", { class: "quiet view-words", role: "status" });
  const strip = el("div", { class: "strip", role: "group", "aria-label": t("detail.strip") });
  const modes = ["crop", "frame", "film"].map((mode) => el("button", { type: "button", "aria-pressed": "false", "data-view": mode, disabled: mode !== "crop", click: () => show(mode) }, t({ crop: "detail.crop", frame: "detail.whole-frame", film: "detail.play" }[mode])));
  const warm = el("button", { type: "button", "aria-pressed": "false" }, t("detail.heat"));
  warm.hidden = context.search === null;
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
    words.textContent = mode === "film" ? t("detail.cutting") : "";
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
    const image = el("img", { src: await hold(`${path()}/frame`), alt: t("detail.frame-of", { place: place(row) || t("hit.no-place") }) });
    await image.decode();
    return el("div", { class: "whole" }, image, spot);
  }

  async function film() {
    const clip = await askJson(`${path()}/clips`, { json: {} });
    const url = await hold(`/galleries/${context.gallery}/clips/${clip.clip}`);
    const seconds = (value) => value.toFixed(1);
    words.textContent = t("detail.clip", { long: seconds(clip.end - clip.start), at: seconds(clip.at), how: t(clip.copied ? "detail.copied" : "detail.encoded") });
    return el("video", { src: url, controls: true, autoplay: true, muted: true, playsinline: true, "aria-label": t("detail.film") });
  }

  async function look(next) {
    row = next;
    there = null;
    for (const button of strip.children) button.setAttribute("aria-current", String(Number(button.dataset.item) === row.id));
    for (const button of modes.slice(1)) button.disabled = true;
    await show("crop");
    let said;
    try {
      said = await askJson(`${path()}/source`);
    } catch (error) {
      failed(error);
      return;
    }
    if (shown !== me || row !== next) return;
    there = said;
    if (!strip.children.length) fill(said.crops);
    modes[1].disabled = said.state !== "there";
    modes[2].disabled = !said.video;
    modes[2].title = said.state === "there" && !said.video ? t("detail.from-image") : "";
    if (said.state === "there" && said.box) await show("frame");
    else if (said.words) words.textContent = t("detail.only-crop", { words: said.words });
  }

  function fill(crops) {
    if (crops.length < 2) return;
    strip.append(...crops.map((crop, n) => {
      const image = el("img", { alt: "" });
      thumbnail(context.gallery, crop.id).then((url) => { image.src = url; }, () => {});
      const own = hit.item.frame === crop.frame && String(hit.item.box) === String(crop.box);
      return el("button", { type: "button", "data-item": crop.id, "aria-current": String(crop.id === row.id || own), "aria-label": `${t("detail.crop-of", { n: n + 1, all: crops.length })}${crop.time === null ? "" : `, ${timeText(crop.time, true)}`}`, click: () => look(crop) }, image);
    }));
    strip.before(el("p", { class: "quiet strip-title" }, tn("detail.of-track", crops.length)));
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
  me.node = el("div", { class: "view" }, stage, el("div", { class: "view-tools" }, el("span", { class: "group", role: "group", "aria-label": t("detail.shown") }, ...modes), words), strip);
  look(row);
  return me;
}
