// Cases: a list, and one that is open; what is found is kept in it, and its searches are asked again.
import { ask, askJson, blobOf, Refused, thumbnail } from "./api.js";
import { go, where } from "./address.js";
import { byId, el, icon, say } from "./dom.js";
import { timeText, place } from "./format.js";
import { sharedText } from "./texts.js";
import { t, tn } from "./words.js";

const MAX_NAME = 120;
const MAX_NOTES = 20000;
const MAX_NOTE = 2000;

/** `on` has run(promise), failed(error), asked() (the search as it was asked last), renew() (its images), repeat(query), changed(). */
export function createCases(on) {
  let open = null; // the case that is open, as the server told it last
  let session = null;
  let turn = 0;

  const kept = (gallery, item) => open?.bookmarks.some((mark) => mark.gallery === gallery && mark.item.id === item) ?? false;

  /** Show what the address asks for. */
  async function show() {
    const mine = ++turn;
    const asked = where().case;
    if (!asked) {
      open = null;
    } else if (open?.id !== asked || where().view === "cases") {
      try {
        const found = await askJson(`/cases/${asked}`);
        if (mine !== turn) return;
        open = found;
      } catch (error) {
        if (mine !== turn) return;
        open = null;
        go({ case: null });
        on.failed(error);
      }
    }
    bar();
    on.changed();
    if (where().view === "cases") await (open ? paint() : list(mine));
  }

  async function reload() {
    open = await askJson(`/cases/${open.id}`);
    bar();
    on.changed();
    if (where().view === "cases") paint();
  }

  function bar() {
    byId("case-bar").hidden = !open;
    if (!open) return;
    byId("case-bar").replaceChildren(
      el("button", { type: "button", class: "plain", click: () => go({ view: "cases" }) }, icon("case"), t("case.bar", { name: open.name })),
      el("span", { class: "quiet" }, tn("case.bookmarks", open.bookmarks.length)),
      el("button", { type: "button", id: "keep-search", disabled: !on.asked(), click: () => on.run(keepSearch()) }, t("case.keep-search")),
      el("button", { type: "button", class: "plain", click: () => go({ case: null }) }, t("case.close")));
  }

  async function list(mine) {
    const cases = await askJson("/cases");
    if (mine !== turn) return;
    // The list may be told anew while somebody types the name of a case.
    const typed = document.querySelector("#case-name");
    const focused = typed !== null && document.activeElement === typed;
    const field = el("input", { id: "case-name", maxlength: MAX_NAME, autocomplete: "off", required: true });
    if (typed) field.value = typed.value;
    const begin = el("form", { class: "begin", submit: (event) => {
      event.preventDefault();
      on.run(create(field.value));
    } }, el("label", {}, t("case.new-name"), field), el("button", { class: "primary", type: "submit" }, t("case.begin")));
    const rows = cases.map((one) => el("li", {},
      el("button", { type: "button", class: "case-row", "data-case": one.id, click: () => go({ case: one.id }) },
        el("strong", {}, one.name),
        el("span", { class: "quiet" }, [tn("case.bookmarks", one.bookmarks), tn("case.searches", one.queries), t("case.by", { who: one.creator }), timeText(one.changed)].join(" · ")))));
    byId("cases-body").replaceChildren(el("h2", { id: "cases-title", tabindex: "-1" }, t("case.cases")), begin,
      rows.length ? el("ul", { class: "case-list" }, ...rows) : el("p", { class: "quiet" }, t("case.none")));
    if (focused) field.focus();
  }

  async function create(name) {
    const made = await askJson("/cases", { json: { name } });
    open = made;
    go({ case: made.id });
  }

  function paint() {
    const path = `/cases/${open.id}`;
    const text = { failed: on.failed, version: open.version };
    const write = async (name, notes, known) => {
      const { version } = await askJson(`${path}/texts`, { json: { name, notes, version: known }, method: "PUT" });
      open = { ...open, name, notes, version };
      bar();
      return version;
    };
    // Name and notes have one version. Where somebody changed only the other of the two, both changes are kept.
    const rename = async (name, known) => {
      const now = await askJson(path);
      if (now.name !== open.name && known < now.version) throw new Refused(409, t("text.clash", { who: now.writer }), { conflict: { who: now.writer, text: now.name, version: now.version } });
      return write(name, now.notes, now.version);
    };
    const note = async (notes, known) => {
      const before = open.notes;
      try {
        return await write(open.name, notes, known);
      } catch (error) {
        if (error.conflict?.text !== before) throw error;
        const now = await askJson(path);
        return write(now.name, notes, now.version);
      }
    };
    const heading = el("div", { class: "case-head" },
      el("button", { type: "button", class: "plain", click: () => go({ case: null }) }, icon("left"), t("case.all")),
      el("h2", { id: "cases-title", tabindex: "-1" }, open.name),
      el("p", { class: "quiet" }, [t("case.by", { who: open.creator }), timeText(open.created), t("case.number", { n: open.id })].join(" · ")));
    const lost = open.removals.map((one) => el("p", {}, t("case.removed", { when: timeText(one.time), gallery: one.gallery, bookmarks: one.bookmarks, rows: one.rows, searches: one.queries })));
    if (open.hidden) lost.unshift(el("p", {}, tn("case.hidden", open.hidden)));
    byId("cases-body").replaceChildren(heading,
      ...(lost.length ? [el("div", { class: "verdict none", id: "case-lost" }, ...lost)] : []),
      el("div", { class: "case-texts" },
        sharedText({ ...text, label: t("case.name"), text: open.name, most: MAX_NAME, save: rename }),
        sharedText({ ...text, label: t("case.notes"), text: open.notes, most: MAX_NOTES, rows: 5, save: note })),
      el("section", { "aria-labelledby": "case-sightings" }, el("h3", { id: "case-sightings" }, t("case.sightings")),
        open.bookmarks.length ? el("ol", { class: "bookmarks" }, ...open.bookmarks.map(bookmark)) : el("p", { class: "quiet" }, t("case.no-bookmarks"))),
      el("section", { "aria-labelledby": "case-searches" }, el("h3", { id: "case-searches" }, t("case.searches-title")),
        open.queries.length ? el("ul", { class: "kept" }, ...open.queries.map(kind)) : el("p", { class: "quiet" }, t("case.no-searches"))),
      members(path), exporting(path));
  }

  function bookmark(mark) {
    const path = `/cases/${open.id}/bookmarks/${mark.gallery}/${mark.item.id}`;
    const image = el("img", { alt: t("case.row-image", { row: mark.item.id }) });
    thumbnail(mark.gallery, mark.item.id).then((url) => { image.src = url; }, () => {});
    return el("li", { class: "bookmark", "data-item": mark.item.id }, image, el("div", {},
      el("p", {}, el("strong", {}, place(mark.item) || mark.item.source)),
      el("p", { class: "quiet" }, t("case.row-of", { row: mark.item.id, gallery: mark.gallery, who: mark.who })),
      sharedText({ label: t("case.note"), text: mark.note, version: mark.version, most: MAX_NOTE, rows: 2, failed: on.failed,
        save: async (note, version) => (await askJson(path, { json: { note, version }, method: "PUT" })).version }),
      el("button", { type: "button", class: "plain", click: () => on.run(ask(path, { method: "DELETE" }).then(reload)) }, t("case.remove-bookmark", { row: mark.item.id }))));
  }

  function kind(query) {
    const shown = el("div", { class: "kept-images" });
    query.images.forEach((negative, n) => {
      const image = el("img", { alt: negative ? t("query.not") : t("case.query-image"), class: negative ? "not" : "" });
      blobOf(`/cases/${open.id}/queries/${query.id}/images/${n}`).then((url) => { image.src = url; }, () => {});
      shown.append(image);
    });
    for (const row of query.positives) {
      const image = el("img", { alt: t("case.row-image", { row }) });
      thumbnail(query.gallery, row).then((url) => { image.src = url; }, () => {});
      shown.append(image);
    }
    const feedback = query.confirmed.length + query.rejected.length;
    const words = [[query.gallery, ...query.others].join(", "), feedback ? tn("case.feedback", feedback) : "", t("case.by", { who: query.who }), timeText(query.time)];
    return el("li", { "data-query": query.id }, shown,
      el("div", {}, el("strong", {}, query.name), el("p", { class: "quiet" }, words.filter(Boolean).join(" · "))),
      el("div", { class: "row" },
        el("button", { type: "button", click: () => on.run(again(query)) }, t("case.ask-again")),
        el("button", { type: "button", class: "plain", click: () => on.run(ask(`/cases/${open.id}/queries/${query.id}`, { method: "DELETE" }).then(reload)) }, t("case.remove-search"))));
  }

  async function again(query) {
    const images = await Promise.all(query.images.map(async (negative, n) => ({
      negative, file: await (await ask(`/cases/${open.id}/queries/${query.id}/images/${n}`)).blob(),
    })));
    go({ view: "search" });
    await on.repeat({ ...query, images });
  }

  function members(path) {
    if (!open.owned) return el("p", { class: "quiet" }, t("case.members-are", { names: [open.creator, ...open.members].join(", ") }));
    const field = el("input", { id: "case-members", autocomplete: "off", placeholder: "anna, bruno" });
    field.value = open.members.join(", ");
    return el("section", { "aria-labelledby": "case-members-title" }, el("h3", { id: "case-members-title" }, t("case.members")),
      el("form", { class: "begin", submit: (event) => {
        event.preventDefault();
        const names = field.value.split(",").map((name) => name.trim()).filter(Boolean);
        on.run(ask(`${path}/members`, { json: { members: names }, method: "PUT" }).then(reload).then(() => say(t("text.saved"))));
      } }, el("label", {}, t("case.members-label"), field), el("button", { type: "submit" }, t("text.save"))));
  }

  function exporting(path) {
    const faces = el("input", { type: "checkbox", id: "case-faces" });
    const save = async () => {
      const url = await blobOf(`${path}/exports?blur=${!faces.checked}`, { method: "POST" });
      el("a", { href: url, download: `unveil-case-${open.id}.zip` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60000);
      say(t("case.exported"));
    };
    return el("section", { "aria-labelledby": "case-export-title" }, el("h3", { id: "case-export-title" }, t("case.package")),
      el("p", { class: "quiet" }, t("case.package-words")),
      el("div", { class: "row" },
        el("button", { type: "button", id: "case-export", click: () => on.run(save()) }, t("case.export")),
        session?.role === "reader" ? null : el("label", { class: "check" }, faces, t("case.with-faces")),
        open.owned ? el("button", { type: "button", class: "plain danger", click: () => on.run(remove(path)) }, t("case.delete")) : null));
  }

  async function remove(path) {
    if (!confirm(t("case.sure", { name: open.name }))) return;
    await ask(path, { method: "DELETE" });
    open = null;
    go({ case: null });
  }

  async function keepSearch() {
    const name = prompt(t("case.search-name"), t("case.search-default", { n: open.queries.length + 1 }));
    if (name === null) return;
    const send = () => askJson(`/cases/${open.id}/queries`, { json: { name, ...on.asked() } });
    try {
      await send();
    } catch (error) {
      if (error.status !== 410) throw error;
      await on.renew();
      await send();
    }
    await reload();
    say(t("case.search-kept"));
  }

  return {
    show,
    set session(told) { session = told; },
    get open() { return open; },
    kept,
    /** Keep a result in the open case, or take it out again. */
    async toggle(gallery, item) {
      if (kept(gallery, item)) await ask(`/cases/${open.id}/bookmarks/${gallery}/${item}`, { method: "DELETE" });
      else await askJson(`/cases/${open.id}/bookmarks`, { json: { gallery, item } });
      await reload();
    },
    /** The search was asked, or forgotten. */
    searched: bar,
  };
}
