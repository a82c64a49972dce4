// One result as a card, and in detail: score, parts, reason, heat map, judgement.
import { blobOf, thumbnail } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { count, moment, place, score } from "./format.js";

const ON_CARD = 4;

/**
 * `context`: gallery (name), parts (names of all vectors), search (its name), calibrated; `on` has judge(hit, same),
 * heat failures as failed(error), and from(item), add(item), not(item).
 */
export function card(hit, context, on) {
  const frame = framed(hit, context);
  const warm = el("button", { type: "button", class: "warm", "aria-pressed": "false", "aria-label": `Heat map of result ${hit.rank}`, title: "Where the likeness comes from" }, icon("heat"));
  warm.addEventListener("click", () => heat(frame, warm, hit, context, on));
  const judge = (same, name, words) => el("button", {
    type: "button", class: same ? "yes" : "no", "aria-pressed": "false", title: words, "aria-label": `${words}: result ${hit.rank}`,
    click: () => on.judge(hit, same),
  }, icon(name));
  return el("li", { class: "hit", id: `hit-${hit.item.id}`, "data-item": hit.item.id, "data-rank": hit.rank },
    el("button", { type: "button", class: "picture", "aria-label": `Result ${hit.rank} in detail: ${place(hit.item) || "no place known"}`, click: () => detail(hit, context, on) },
      frame, el("span", { class: "rank", "aria-hidden": "true" }, String(hit.rank))),
    el("div", { class: "words" },
      el("p", { class: "score" }, el("b", {}, score(hit)), el("span", {}, scoreName(hit))),
      el("p", { class: "place" }, place(hit.item) || hit.item.source),
      hit.reason ? el("p", { class: "reason" }, hit.reason) : null,
      parts(hit, context)),
    el("div", { class: "judge", role: "group", "aria-label": `Judge result ${hit.rank}` }, judge(true, "check", "This is the person"), judge(false, "cross", "Not this person"), warm));
}

const scoreName = (hit) => (hit.probability === null ? "distance" : `distance ${hit.distance === null ? "–" : hit.distance.toFixed(3)}`);

function framed(hit, context) {
  const image = el("img", { alt: "", loading: "lazy" });
  thumbnail(context.gallery, hit.item.id).then((url) => { image.src = url; }, () => { image.alt = "The picture is gone"; });
  return el("span", { class: "framed" }, image);
}

/**
 * Bars of likeness: full for distance 0, empty for the farthest of any part in the list (at least 1). A card has room
 * for the nearest ones, the detail for all.
 */
function parts(hit, context, all = false) {
  if (context.parts.length < 2) return null;
  const seen = context.parts.filter((name) => hit.parts[name] !== undefined);
  const nearest = seen.toSorted((a, b) => hit.parts[a] - hit.parts[b]).slice(0, ON_CARD);
  const hidden = context.parts.length - seen.length;
  const list = el("ul", { class: "parts", "aria-label": "Likeness by part" }, ...(all ? context.parts : nearest).map((name) => {
    const distance = hit.parts[name];
    if (distance === undefined) return el("li", {}, el("span", {}, name), el("span", { class: "unseen-part" }, "not visible"));
    const fill = el("i");
    fill.style.width = `${Math.round(100 * Math.min(1, Math.max(0, 1 - distance / context.farthest)))}%`;
    return el("li", { title: `${name}: distance ${distance.toFixed(3)}` }, el("span", {}, name), el("div", { class: "bar" }, fill), all ? el("em", {}, distance.toFixed(3)) : null);
  }));
  if (!all && hidden) list.append(el("li", { class: "unseen-part" }, `${count(hidden, "part")} not visible`));
  return list;
}

async function heat(frame, button, hit, context, on) {
  const shown = frame.querySelector(".heat");
  if (shown) {
    shown.remove();
    button.setAttribute("aria-pressed", "false");
    return;
  }
  button.disabled = true;
  try {
    const url = await blobOf(`/galleries/${context.gallery}/searches/${context.search}/hits/${hit.item.id}/heat`);
    frame.append(el("img", { class: "heat", src: url, alt: "Where the likeness comes from" }));
    button.setAttribute("aria-pressed", "true");
  } catch (error) {
    on.failed(error);
  } finally {
    button.disabled = false;
  }
}

function detail(hit, context, on) {
  const dialog = byId("detail");
  const item = hit.item;
  const frame = framed(hit, context);
  const close = (then) => () => { dialog.close(); then?.(); };
  const warm = el("button", { type: "button", "aria-pressed": "false" }, "Heat map");
  warm.addEventListener("click", () => heat(frame, warm, hit, context, { ...on, failed: (error) => { dialog.close(); on.failed(error); } }));
  const facts = [
    ["Camera", item.camera], ["First seen", item.time === null ? null : moment(item.time)],
    ["Last seen", item.end === null ? null : moment(item.end)], ["Label", item.person],
    ["Tags", item.tags.join(", ")], ["Visible", item.visible === null ? null : `${Math.round(100 * item.visible)} %`],
    ["Crops", item.kind === "tracklet" ? String(item.crops) : null], ["Frame", item.frame === null ? null : String(item.frame)],
    ["Source", item.source.split("/").slice(-2).join("/")], ["Row", String(item.id)],
  ].filter(([, value]) => value);
  dialog.replaceChildren(el("div", { class: "detail" }, frame,
    el("div", { class: "detail-words" },
      el("h2", { id: "detail-title" }, `Result ${hit.rank}: ${score(hit)}`),
      hit.reason ? el("p", {}, hit.reason) : null,
      parts(hit, context, true),
      el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
      el("div", { class: "actions" }, warm,
        el("button", { type: "button", click: close(() => on.from(item)) }, "Search from this"),
        el("button", { type: "button", click: close(() => on.add(item)) }, "Add to the query"),
        el("button", { type: "button", click: close(() => on.not(item)) }, "Not this person"),
        el("button", { type: "button", class: "plain", click: close() }, "Close")))));
  dialog.showModal();
}
