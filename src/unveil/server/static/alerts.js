// Alerts of watches: who of a list was seen, the newest first; new ones are looked for while the page is open.
import { ask, askJson, blobOf } from "./api.js";
import { byId, el, say } from "./dom.js";
import { timeText } from "./format.js";
import { t, tn } from "./words.js";

const LOOK_EVERY = 5000; // milliseconds
const MAX_ALERTS = 100;

/** `on` has run(promise), gallery() (its name), search(file) to search with the image of an alert, admin() whether it may remove them. */
export function createAlerts(on) {
  let gallery = null;
  let found = [];
  let unseen = 0;
  let timer = null;
  let shown = false;

  async function begin() {
    clearTimeout(timer);
    gallery = on.gallery();
    found = [];
    unseen = 0;
    if (gallery) found = await askJson(`/galleries/${gallery}/alerts?limit=${MAX_ALERTS}`);
    mark();
    if (gallery) timer = setTimeout(look, LOOK_EVERY);
  }

  async function look() {
    const mine = gallery;
    try {
      const fresh = await askJson(`/galleries/${mine}/alerts?limit=${MAX_ALERTS}&after=${found[0]?.id ?? 0}`);
      if (mine !== gallery) return;
      if (fresh.length) {
        found = [...fresh, ...found].slice(0, MAX_ALERTS);
        if (!shown) unseen += fresh.length;
        say(tn("alert.new", fresh.length));
        mark();
        if (shown) paint();
      }
    } catch {
      // The server may be away for a moment; it is asked again.
    }
    if (mine === gallery) timer = setTimeout(look, LOOK_EVERY);
  }

  function mark() {
    const button = document.querySelector("nav [data-view=alerts]");
    button.textContent = unseen ? `${t("view.alerts")} (${unseen})` : t("view.alerts");
    button.hidden = !found.length && !shown;
  }

  function paint() {
    byId("alerts-body").replaceChildren(el("h2", { id: "alerts-title", tabindex: "-1" }, t("alert.title", { gallery: gallery ?? "" })),
      found.length ? el("ol", { class: "bookmarks" }, ...found.map(drawn)) : el("p", { class: "quiet" }, t("alert.none")),
      found.length && on.admin() ? el("div", { class: "row" }, el("button", { type: "button", class: "plain danger", click: () => {
        if (confirm(t("alert.sure"))) on.run(ask(`/galleries/${gallery}/alerts`, { method: "DELETE" }).then(begin).then(paint));
      } }, t("alert.remove"))) : null);
  }

  function drawn(alert) {
    const path = `/galleries/${gallery}/alerts/${alert.id}/image`;
    const image = el("img", { alt: t("alert.image") });
    blobOf(path).then((url) => { image.src = url; }, () => {});
    const sure = alert.probability === null ? t("alert.distance", { d: alert.distance.toFixed(3) }) : `${Math.round(100 * alert.probability)} %`;
    return el("li", { class: "bookmark", "data-alert": alert.id }, image, el("div", {},
      el("p", {}, el("strong", {}, alert.entry), ` ${sure}`),
      el("p", { class: "quiet" }, [alert.camera ? t("alert.camera", { camera: alert.camera }) : "", timeText(alert.time)].filter(Boolean).join(" · ")),
      el("p", { class: "quiet" }, t("alert.raised", { when: timeText(alert.raised), source: alert.source.split("/").slice(-2).join("/") })),
      el("button", { type: "button", click: () => on.run(ask(path).then((answer) => answer.blob()).then((blob) => on.search(new File([blob], "alert.jpg", { type: "image/jpeg" })))) }, t("alert.search"))));
  }

  return {
    begin,
    show() {
      shown = true;
      unseen = 0;
      mark();
      paint();
    },
    hide() { shown = false; },
  };
}
