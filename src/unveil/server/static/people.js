// Probable people of a gallery, without a search: looked through, one opened, split and merged by hand. Never certain.
import { askJson, thumbnail } from "./api.js";
import { go, where } from "./address.js";
import { byId, el, icon, paragraph, say } from "./dom.js";
import { timeText, place, span } from "./format.js";
import { t, tn } from "./words.js";

const PAGE = 60;
const TWO = 2;

/** `on` has run(promise), gallery() (its name), may() whether the reader may split and merge, search(rows). */
export function createPeople(on) {
  let order = "rows";
  let hide = false;
  let turn = 0;
  let chosen = new Set(); // numbers of people, or rows of one

  const path = () => `/galleries/${on.gallery()}/people`;
  const body = () => byId("people-body");

  /** Show what the address asks for. */
  async function show() {
    const mine = ++turn;
    chosen = new Set();
    if (!on.gallery()) {
      body().replaceChildren(el("p", { class: "quiet" }, t("add.no-gallery")));
      return;
    }
    await (where().person ? one(where().person, mine) : all(mine));
  }

  async function all(mine) {
    const found = await askJson(`${path()}?order=${order}&least=${hide ? TWO : 1}&limit=${PAGE}`);
    if (mine !== turn) return;
    const grid = el("ul", { class: "people" });
    const more = el("button", { type: "button", id: "people-more", click: () => on.run(next()) }, t("people.more"));
    let following = null;
    const add = (page) => {
      grid.append(...page.people.map(group));
      following = page.next;
      more.hidden = following === null;
    };
    const next = async () => add(await askJson(`${path()}?order=${order}&least=${hide ? TWO : 1}&limit=${PAGE}&offset=${following}`));
    add(found);
    body().replaceChildren(
      el("h2", { id: "people-title", tabindex: "-1" }, t("people.title", { gallery: on.gallery() })),
      el("p", { class: "quiet" }, t("people.words")),
      found.grouping ? facts(found.grouping) : paragraph(t("people.none", { gallery: on.gallery() })),
      ...(found.grouping ? [tools(), found.people.length ? grid : el("p", { class: "quiet" }, t("people.nobody")), more] : [grouper()]));
    refresh();
  }

  function facts(state) {
    const told = [tn("people.people", state.people), tn("count.sighting", state.rows), t("people.made", { when: timeText(state.made) })];
    const said = [
      state.calibrated ? "" : t("people.not-calibrated", { d: state.threshold.toFixed(3) }),
      state.other_model ? t("people.other-model") : "", state.recalibrated ? t("people.recalibrated") : "",
      state.ungrouped ? tn("people.ungrouped", state.ungrouped) : "", state.removed ? tn("people.removed", state.removed) : "",
    ].filter(Boolean);
    return el("div", { class: "people-facts" }, el("p", { class: "quiet" }, told.join(" · ")),
      said.length ? el("div", { class: "verdict none", id: "people-said" }, ...said.map((words) => el("p", {}, words)), state.calibrated ? grouper() : null) : null);
  }

  function grouper() {
    return on.may() ? el("button", { type: "button", id: "people-group", click: () => on.run(askJson(`${path()}/groupings`, { json: {} }).then(show).then(() => say(t("people.grouped")))) }, t("people.group")) : null;
  }

  function tools() {
    const orders = el("select", { id: "people-order", change: () => { order = byId("people-order").value; on.run(show()); } },
      ...[["rows", "people.by-rows"], ["time", "people.by-time"]].map(([value, key]) => el("option", { value, selected: value === order }, t(key))));
    const hidden = el("input", { type: "checkbox", id: "people-hide", checked: hide, change: () => { hide = byId("people-hide").checked; on.run(show()); } });
    return el("div", { class: "row people-tools" },
      el("label", {}, el("span", { class: "quiet" }, t("people.order")), " ", orders),
      el("label", { class: "check" }, hidden, " ", el("span", {}, t("people.hide"))),
      on.may() ? el("button", { type: "button", id: "people-merge", disabled: true, click: () => on.run(merge()) }, t("people.merge")) : null);
  }

  function group(person) {
    const images = el("span", { class: "people-images" }, ...person.images.map((row) => thumb(row)));
    const words = [tn("count.sighting", person.rows), tn("count.camera", person.cameras.length)];
    const when = person.start === null ? "" : span(person.start, person.end);
    return el("li", { class: "person", "data-person": person.person },
      el("button", { type: "button", class: "person-open", "aria-label": t("people.open", { n: person.person, words: [...words, when].filter(Boolean).join(", ") }), click: () => go({ person: person.person }) }, images),
      el("div", { class: "person-words" },
        el("p", {}, el("strong", {}, person.rows > 1 ? t("people.same") : t("people.once"))),
        el("p", { class: "quiet" }, words.join(" · ")), when ? el("p", { class: "quiet" }, when) : null,
        el("p", { class: "quiet" }, person.cameras.join(", ")),
        person.by_hand ? el("p", { class: "quiet" }, t("people.by-hand")) : null,
        on.may() ? chooser(person.person, t("people.select", { n: person.person })) : null));
  }

  function thumb(row) {
    const image = el("img", { alt: "", loading: "lazy" });
    thumbnail(on.gallery(), row).then((url) => { image.src = url; }, () => {});
    return image;
  }

  function chooser(number, words) {
    const box = el("input", { type: "checkbox", value: number, "aria-label": words, change: () => {
      if (box.checked) chosen.add(number);
      else chosen.delete(number);
      refresh();
    } });
    return el("label", { class: "check" }, box, " ", el("span", { "aria-hidden": "true" }, t("people.choose")));
  }

  /** What is selected decides what can be done with it. */
  function refresh() {
    const merging = byId("people-merge");
    if (merging) merging.disabled = chosen.size !== TWO;
    const splitting = byId("people-split");
    if (splitting) splitting.disabled = chosen.size === 0 || chosen.size >= Number(splitting.dataset.rows);
  }

  async function merge() {
    const [first, second] = chosen;
    if (!confirm(t("people.merge-sure"))) return;
    await askJson(`${path()}/${first}/merges`, { json: { other: second } });
    await show();
    say(t("people.merged"));
    byId("people-title").focus();
  }

  async function split(person) {
    const { person: made } = await askJson(`${path()}/${person}/splits`, { json: { items: [...chosen] } });
    go({ person: made });
    say(t("people.split-done"));
  }

  async function one(person, mine) {
    const found = await askJson(`${path()}/${person}`);
    if (mine !== turn) return;
    const list = el("ol", { class: "people" }, ...found.rows.map((row) => sighting(row, found.person)));
    let following = found.next;
    const more = el("button", { type: "button", id: "people-more", hidden: following === null, click: () => on.run((async () => {
      const page = await askJson(`${path()}/${person}?offset=${following}`);
      list.append(...page.rows.map((row) => sighting(row, page.person)));
      following = page.next;
      more.hidden = following === null;
    })()) }, t("people.more"));
    const told = found.person;
    const words = [tn("count.sighting", told.rows), tn("count.camera", told.cameras.length), told.start === null ? "" : span(told.start, told.end), told.by_hand ? t("people.by-hand") : ""];
    body().replaceChildren(
      el("div", { class: "case-head" },
        el("button", { type: "button", class: "plain", click: () => go({ person: null }) }, icon("left"), t("people.all")),
        el("h2", { id: "people-title", tabindex: "-1" }, t("people.person", { n: told.person })),
        el("p", {}, told.rows > 1 ? t("people.same") : t("people.once")),
        el("p", { class: "quiet" }, words.filter(Boolean).join(" · ")),
        el("button", { type: "button", id: "people-search", click: () => on.search(told.images) }, t("people.search-best"))),
      on.may() && told.rows > 1 ? el("div", { class: "row people-tools" }, el("span", { class: "quiet" }, t("people.split-words")),
        el("button", { type: "button", id: "people-split", "data-rows": told.rows, disabled: true, click: () => on.run(split(told.person)) }, t("people.split"))) : "",
      list, more);
    refresh();
  }

  function sighting({ item, distance, probability }, person) {
    const likely = probability !== null ? t("people.likely", { p: Math.round(100 * probability) }) : distance !== null ? t("people.distance", { d: distance.toFixed(3) }) : "";
    const named = place(item) || item.source;
    return el("li", { class: "person", "data-item": item.id }, el("span", { class: "people-images" }, thumb(item.id)),
      el("div", { class: "person-words" }, el("p", {}, named), likely ? el("p", { class: "quiet" }, likely) : null,
        on.may() && person.rows > 1 ? chooser(item.id, t("people.select-row", { place: named })) : null,
        el("button", { type: "button", class: "plain", "aria-label": t("people.search-row", { place: named }), click: () => on.search([item.id]) }, t("people.search"))));
  }

  return { show };
}
