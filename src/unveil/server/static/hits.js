// One result as a card: score, parts, reason, heat map, feedback.
import { blobOf, thumbnail } from "./api.js";
import { el, icon } from "./dom.js";
import { place, score } from "./format.js";
import { t, tn } from "./words.js";

const ON_CARD = 4;

/**
 * `context`: gallery (name), parts (names of all vectors), search (its name), calibrated; `on` has give(hit, same),
 * open(hit) for the detail, and heat failures as failed(error).
 */
export function card(hit, context, on) {
  const frame = framed(hit.item, context);
  const warm = el("button", { type: "button", class: "warm", "aria-pressed": "false", "aria-label": t("hit.heat", { n: hit.rank }), title: t("hit.heat-words") }, icon("heat"));
  warm.addEventListener("click", () => heat(frame, warm, hit, context, on));
  warm.hidden = context.search === null; // found without a query: there is nothing to be like
  const give = (same, name, words) => el("button", {
    type: "button", hidden: context.search === null, class: same ? "yes" : "no", "aria-pressed": "false", title: words, "aria-label": t("hit.feedback-words", { words, n: hit.rank }),
    click: () => on.give(hit, same),
  }, icon(name));
  return el("li", { class: "hit", id: `hit-${hit.item.id}`, "data-item": hit.item.id, "data-rank": hit.rank },
    el("button", { type: "button", class: "image", "aria-label": t("hit.in-detail", { n: hit.rank, place: place(hit.item) || t("hit.no-place") }), click: () => on.open(hit) },
      frame, el("span", { class: "rank", "aria-hidden": "true" }, String(hit.rank))),
    el("div", { class: "words" },
      el("p", { class: "score" }, el("b", {}, score(hit)), el("span", {}, scoreName(hit))),
      el("p", { class: "place" }, place(hit.item) || hit.item.source),
      hit.reason ? el("p", { class: "reason" }, hit.reason) : null,
      parts(hit, context)),
    el("div", { class: "feedback", role: "group", "aria-label": t("hit.feedback", { n: hit.rank }) }, give(true, "check", t("hit.yes")), give(false, "cross", t("query.not")), warm, keeper(hit, context, on)));
}

/** Return the button that keeps a result in the open case; it is shown where one is open. */
function keeper(hit, context, on) {
  return el("button", {
    type: "button", class: "keep", "aria-pressed": "false", hidden: true, title: t("case.keep"), "aria-label": `${t("case.keep")}: ${hit.rank}`,
    "data-gallery": context.gallery, "data-item": hit.item.id, click: () => on.keep(context.gallery, hit.item.id),
  }, icon("case"));
}

const scoreName = (hit) => (hit.sureness !== undefined ? t("looks.sure") : hit.probability === null ? t("hit.distance") : t("hit.distance-is", { d: hit.distance === null ? "–" : hit.distance.toFixed(3) }));

/** Return the image of a row. */
export function framed(item, context) {
  const image = el("img", { alt: "", loading: "lazy" });
  thumbnail(context.gallery, item.id).then((url) => { image.src = url; }, () => { image.alt = t("hit.gone"); });
  return el("span", { class: "framed" }, image);
}

/**
 * Bars of likeness: full for distance 0, empty for the farthest of any part in the list (at least 1). A card has room
 * for the nearest ones, the detail for all.
 */
export function parts(hit, context, all = false) {
  if (context.parts.length < 2 || context.search === null) return null;
  const seen = context.parts.filter((name) => hit.parts[name] !== undefined);
  const nearest = seen.toSorted((a, b) => hit.parts[a] - hit.parts[b]).slice(0, ON_CARD);
  const hidden = context.parts.length - seen.length;
  const list = el("ul", { class: "parts", "aria-label": t("hit.parts") }, ...(all ? context.parts : nearest).map((name) => {
    const distance = hit.parts[name];
    if (distance === undefined) return el("li", {}, el("span", {}, name), el("span", { class: "unseen-part" }, t("hit.not-visible")));
    const fill = el("i");
    fill.style.width = `${Math.round(100 * Math.min(1, Math.max(0, 1 - distance / context.farthest)))}%`;
    return el("li", { title: t("hit.part-distance", { name, d: distance.toFixed(3) }) }, el("span", {}, name), el("div", { class: "bar" }, fill), all ? el("em", {}, distance.toFixed(3)) : null);
  }));
  if (!all && hidden) list.append(el("li", { class: "unseen-part" }, tn("hit.hidden", hidden)));
  return list;
}

/** Lay the heat map of a result over its image, or take it away. */
export async function heat(frame, button, hit, context, on) {
  const shown = frame.querySelector(".heat");
  if (shown) {
    shown.remove();
    button.setAttribute("aria-pressed", "false");
    return;
  }
  button.disabled = true;
  try {
    const url = await blobOf(`/galleries/${context.gallery}/searches/${context.search}/hits/${hit.item.id}/heat`);
    frame.append(el("img", { class: "heat", src: url, alt: t("hit.heat-words") }));
    button.setAttribute("aria-pressed", "true");
  } catch (error) {
    on.failed(error);
  } finally {
    button.disabled = false;
  }
}
