// Who is searched for: images, boxes on them, rows of the gallery, and people that it is not.
import { askJson, thumbnail } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { createStage, cut } from "./stage.js";
import { t } from "./words.js";

const MAX_FILES = 8;

/** `listeners.busy(promise)` shows that something is under way, `listeners.failed(error)` shows an error. */
export function createQuery(listeners) {
  let positives = []; // {image, box} or {item}, each with url
  let negatives = []; // {item} with url
  let live = null; // the piece that the stage shows
  let detector = true;
  let turn = 0;
  const stage = createStage(byId("stage"), setBox);

  function setBox(box) {
    if (!live) return;
    const piece = live;
    piece.box = box;
    cut(piece.held, box).then((url) => { piece.url = url; paint(); }, () => {});
  }

  function paint() {
    const row = (title, pieces, not) => pieces.length === 0 ? null : el("div", { class: "pieces-row" }, el("span", { class: "quiet" }, title), ...pieces.map((piece) => {
      const name = piece.item ? t("query.row", { row: piece.item }) : piece.name;
      return el("div", { class: not ? "piece not" : "piece" },
        piece.url ? el("img", { src: piece.url, alt: name }) : "",
        el("button", { type: "button", "aria-label": t("query.leave-out", { name }), click: () => remove(piece) }, icon("cross")));
    }));
    const rows = [row(t("query.with"), positives, false), row(t("query.not"), negatives, true)].filter(Boolean);
    byId("pieces").hidden = rows.length === 0 || (rows.length === 1 && positives.length === 1 && !positives[0].item);
    byId("pieces").replaceChildren(...rows);
    listeners.changed();
  }

  function remove(piece) {
    positives = positives.filter((other) => other !== piece);
    negatives = negatives.filter((other) => other !== piece);
    if (piece === live) hideStage();
    paint();
  }

  function hideStage() {
    live = null;
    byId("stage").hidden = true;
    byId("tools").hidden = true;
    byId("hint").textContent = "";
  }

  async function take(files) {
    const chosen = [...files].filter((file) => file.type.startsWith("image/") || file.type === "").slice(0, MAX_FILES);
    if (!chosen.length) throw new Error(t("query.no-image"));
    const mine = ++turn;
    const fresh = [];
    for (const file of chosen) {
      const held = { ...(await askJson("/images", { body: file })), url: URL.createObjectURL(file) };
      if (mine !== turn) return;
      fresh.push({ image: held.image, held, file, box: null, url: held.url, name: file.name || t("query.the-image") });
    }
    // Another image is another search, unless several were chosen together.
    listeners.fresh();
    positives = fresh;
    negatives = [];
    await present(fresh[0], mine);
  }

  async function present(piece, mine) {
    live = piece;
    stage.show(piece.held);
    byId("tools").hidden = false;
    paint();
    if (!detector) {
      byId("hint").textContent = t("query.hint-draw");
      return;
    }
    byId("hint").textContent = t("query.looking");
    let people = [];
    try {
      people = (await askJson(`/images/${piece.image}/people`)).people;
    } catch (error) {
      if (mine === turn) byId("hint").textContent = error.message;
      return;
    }
    if (mine !== turn || live !== piece) return;
    stage.offer(people);
    const crop = piece.held.height > 1.5 * piece.held.width;
    if (people.length && !(crop && people.length === 1)) {
      stage.choose(0);
      byId("hint").textContent = people.length === 1 ? t("query.one-found") : t("query.many-found", { n: people.length });
    } else if (crop) {
      byId("hint").textContent = t("query.hint-whole");
    } else {
      byId("hint").textContent = t("query.none-found");
    }
  }

  const idOf = (piece) => (piece.item ? { item: piece.item } : { image: piece.image, ...(piece.box ? { box: piece.box } : {}) });

  return {
    stage,
    take,
    set detector(on) { detector = on; },
    get empty() { return positives.length === 0; },
    get pieces() { return { positives: positives.map(idOf), negatives: negatives.map(idOf) }; },
    /** Send images again that the server let go of. */
    async renew() {
      for (const piece of [...positives, ...negatives].filter((p) => p.image)) {
        piece.image = (await askJson("/images", { body: piece.file })).image;
      }
    },
    /** Search with a row alone. */
    async only(gallery, item) {
      turn += 1;
      listeners.fresh();
      hideStage();
      positives = [{ item, url: await thumbnail(gallery, item) }];
      negatives = [];
      byId("hint").textContent = t("query.with-row", { row: item });
      paint();
    },
    async add(gallery, item, not = false) {
      const piece = { item, url: await thumbnail(gallery, item) };
      positives = positives.filter((other) => other.item !== item);
      negatives = negatives.filter((other) => other.item !== item);
      if (not) negatives.push(piece);
      else positives.push(piece);
      paint();
    },
    /** Search with what was kept before: images, each {file, negative}, and rows. */
    async restore(gallery, { images, positives: rows, negatives: others }) {
      const mine = ++turn;
      const sent = await Promise.all(images.map(async ({ file, negative }) => {
        const held = { ...(await askJson("/images", { body: file })), url: URL.createObjectURL(file) };
        return { negative, piece: { image: held.image, held, file, box: null, url: held.url, name: t("case.query-image") } };
      }));
      const stored = (items) => Promise.all(items.map(async (item) => ({ item, url: await thumbnail(gallery, item) })));
      const [mean, not] = await Promise.all([stored(rows), stored(others)]);
      if (mine !== turn) return false;
      listeners.fresh();
      hideStage();
      positives = [...sent.filter((one) => !one.negative).map((one) => one.piece), ...mean];
      negatives = [...sent.filter((one) => one.negative).map((one) => one.piece), ...not];
      paint();
      return true;
    },
    clear() {
      turn += 1;
      positives = [];
      negatives = [];
      hideStage();
      paint();
    },
  };
}
