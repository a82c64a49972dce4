// Several at once: each image is a search of its own, in one gallery or in several of one model; one table of answers.
import { askJson, patiently, thumbnail } from "./api.js";
import { byId, el } from "./dom.js";
import { isDate, place, score } from "./format.js";
import { t } from "./words.js";

const MAX_IMAGES = 200;
const TOPS = ["1", "3", "5", "10"];
const FORMULA = /^[=+\-@\t\r]/; // what a spreadsheet would take for one

/** `on` has galleries() (those that can be searched), gallery() (name of the one that is shown), why() whether a reason is needed, search(file, gallery). */
export function createSeveral(on) {
  let answers = []; // {file, hits: [{gallery, hit}], error, row: of the table}
  let turn = 0;

  function show() {
    if (byId("several-form")) return;
    const boxes = on.galleries().map((one) => el("label", {}, el("input", { type: "checkbox", name: "several-gallery", value: one.name, checked: one.name === on.gallery() }), el("span", {}, one.name)));
    byId("several-body").replaceChildren(
      el("h2", { id: "several-title", tabindex: "-1" }, t("view.several")), el("p", { class: "quiet" }, t("several.words")),
      el("form", { id: "several-form", class: "add-form", submit: begin },
        el("fieldset", { class: "cameras" }, el("legend", {}, t("admin.galleries")), ...boxes),
        el("div", { class: "add-words" },
          el("label", {}, t("several.images"), el("input", { id: "several-files", type: "file", accept: "image/*", multiple: true, required: true })),
          el("label", {}, t("several.top"), el("select", { id: "several-top" }, ...TOPS.map((n) => el("option", { selected: n === "3" }, n)))),
          el("label", {}, t("query.clothes"), el("select", { id: "several-mode" }, el("option", { value: "same" }, t("query.same")), el("option", { value: "changed" }, t("query.changed")))),
          el("label", {}, t("query.reason"), el("input", { id: "several-why", maxlength: 500, autocomplete: "off", required: on.why() }))),
        el("p", { id: "several-error", class: "error", role: "alert", hidden: true }),
        el("div", { class: "row" }, el("button", { class: "primary", type: "submit" }, t("query.search")), el("span", { id: "several-state", class: "quiet", role: "status" }))),
      el("div", { id: "several-answers" }));
  }

  function complain(words) {
    byId("several-error").textContent = words;
    byId("several-error").hidden = !words;
  }

  async function begin(event) {
    event.preventDefault();
    const mine = ++turn;
    const galleries = [...document.querySelectorAll("[name=several-gallery]:checked")].map((box) => box.value);
    const files = [...byId("several-files").files].slice(0, MAX_IMAGES);
    complain(galleries.length ? "" : t("several.no-gallery"));
    if (!galleries.length) return;
    const asked = { mode: byId("several-mode").value, top: Number(byId("several-top").value), why: byId("several-why").value.trim(), skip_person_check: true };
    answers = files.map((file) => ({ file, hits: null, error: "" }));
    paint();
    for (const answer of answers) {
      await answered(answer, galleries, asked, () => mine === turn);
      if (mine !== turn) return;
      repaint(answer);
    }
  }

  /**
   * Search with one image in all galleries, nearest first: their distances are of one model. More images than the server's
   * rate allows at once are no fault.
   */
  async function answered(answer, galleries, asked, wanted) {
    const get = (path, options) => patiently(() => askJson(path, options), wanted);
    try {
      const { image } = await get("/images", { body: answer.file });
      const found = [];
      for (const gallery of galleries) {
        const { hits } = await get(`/galleries/${gallery}/searches`, { json: { ...asked, positives: [{ image }] } });
        found.push(...hits.map((hit) => ({ gallery, hit })));
      }
      answer.hits = found.sort((a, b) => (a.hit.distance ?? Infinity) - (b.hit.distance ?? Infinity)).slice(0, asked.top);
    } catch (error) {
      answer.hits = [];
      answer.error = error.message;
    }
  }

  function paint() {
    for (const answer of answers) answer.row = rowOf(answer);
    byId("several-answers").replaceChildren(
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("several.answers") }, el("table", { class: "list several" }, el("thead", {}, el("tr", {}, el("th", { scope: "col" }, t("several.image")), el("th", { scope: "col" }, t("several.answers")))), el("tbody", {}, ...answers.map((answer) => answer.row)))));
    tell();
  }

  /** Draw one image's row anew; the others keep their thumbnails, which would be asked for again. */
  function repaint(answer) {
    const row = rowOf(answer);
    answer.row.replaceWith(row);
    answer.row = row;
    tell();
  }

  function tell() {
    const done = answers.filter((answer) => answer.hits).length;
    byId("several-state").textContent = t("several.state", { done, all: answers.length });
    if (done === answers.length) byId("several-answers").append(el("button", { type: "button", id: "several-csv", click: save }, t("several.csv")));
  }

  function rowOf(answer) {
    answer.url ??= URL.createObjectURL(answer.file);
    return el("tr", {}, el("th", { scope: "row" }, el("img", { src: answer.url, alt: "" }), el("span", {}, answer.file.name),
      el("button", { type: "button", click: () => on.search(answer.file, answer.hits?.[0]?.gallery ?? on.gallery()) }, t("several.open"))),
    el("td", {}, answer.error ? el("p", { class: "error" }, answer.error) : answer.hits ? el("ol", { class: "several-hits" }, ...answer.hits.map(drawn)) : t("several.waiting")));
  }

  function drawn({ gallery, hit }) {
    const image = el("img", { alt: "" });
    thumbnail(gallery, hit.item.id).then((url) => { image.src = url; }, () => {});
    return el("li", { "data-item": hit.item.id, "data-gallery": gallery }, image, el("span", {}, el("strong", {}, score(hit)), el("br"), gallery, el("br"), el("span", { class: "quiet" }, place(hit.item))));
  }

  /** Write the answers as a table for a spreadsheet. */
  function save() {
    const iso = (time) => (time !== null && isDate(time) ? new Date(time * 1000).toISOString() : "");
    const cell = (value) => {
      const text = value === null || value === undefined ? "" : String(value);
      const safe = typeof value === "string" && FORMULA.test(text) ? `'${text}` : text;
      return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
    };
    const lines = [["image", "rank", "gallery", "row", "camera", "time", "time_iso", "distance", "probability", "error"]];
    for (const { file, hits, error } of answers) {
      if (!hits.length) lines.push([file.name, "", "", "", "", "", "", "", "", error]);
      hits.forEach(({ gallery, hit }, n) => lines.push([file.name, n + 1, gallery, hit.item.id, hit.item.camera, hit.item.time, iso(hit.item.time), hit.distance, hit.probability, ""]));
    }
    const url = URL.createObjectURL(new Blob([lines.map((line) => line.map(cell).join(",")).join("\n"), "\n"], { type: "text/csv" }));
    el("a", { href: url, download: "unveil-answers.csv" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  }

  return {
    show,
    /** The galleries are others now. */
    forget() {
      turn += 1;
      byId("several-body").replaceChildren();
    },
  };
}
