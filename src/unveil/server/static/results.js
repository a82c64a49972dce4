// The answer to a search: summary, verdict, sightings, cards, and feedback that refines the next search.
import { ask, blobOf } from "./api.js";
import { openDetail } from "./detail.js";
import { byId, el, paragraph, say } from "./dom.js";
import { card } from "./hits.js";
import { drawPlan } from "./plan.js";
import { drawTimeline, findImpossible } from "./timeline.js";
import { t, tn } from "./words.js";

const MAX_ROWS = 64;

function modelText({ name, fingerprint, licence }) {
  return t("result.model", { model: name ? `${name} (${fingerprint})` : fingerprint, licence: licence ?? t("result.not-stated") });
}

/** Say what another search brought: which results are new, and how many are gone. */
function whatChanged(before, hits) {
  const now = new Set(hits.map((hit) => hit.item.id));
  const fresh = hits.filter((hit) => !before.includes(hit.item.id)).length;
  const gone = before.filter((id) => !now.has(id)).length;
  if (!fresh && !gone) return before.every((id, n) => hits[n]?.item.id === id) ? t("result.same-again") : t("result.other-order");
  return t("result.changes", { fresh: tn("result.fresh", fresh), gone: tn("result.gone", gone) });
}

/** `on` has failed(error), from(item), add(item), not(item), again(). */
export function createResults(on) {
  let answer = null;
  let gallery = null;
  let feedback = new Map(); // row -> {same, search, query}: what was said of it, and of which search
  const saying = new Map(); // row -> what is being said of it; the next word on it waits for that
  let repeated = false; // the search is the last one, with the feedback since
  let changed = ""; // what that brought
  let plan = null; // the gallery's floor plan, with the address of its image

  function state(name) {
    for (const id of ["empty", "failure", "skeleton", "answer"]) byId(id).hidden = id !== name;
    byId("results").setAttribute("aria-busy", String(name === "skeleton"));
  }

  function wait() {
    byId("skeleton").replaceChildren(...Array.from({ length: 8 }, () => el("div", { class: "ghost" })));
    state("skeleton");
    say(t("result.searching"));
  }

  function fail(error) {
    byId("failure").replaceChildren(el("strong", {}, t("error.title")), el("span", {}, error.message));
    if (answer) byId("failure").hidden = false;
    else state("failure");
    byId("failure").scrollIntoView({ block: "nearest" });
  }

  function show(found, info, { quietly = false } = {}) {
    const before = repeated && answer ? answer.hits.map((hit) => hit.item.id) : null;
    if (!quietly) changed = before ? whatChanged(before, found.hits) : "";
    repeated = false;
    answer = found;
    gallery = info;
    state("answer");
    const kind = found.hits.length && found.hits.every((hit) => hit.item.kind === "tracklet") ? "count.track" : "count.result";
    byId("title").textContent = found.hits.length ? tn(kind, found.hits.length) : t("result.none");
    byId("facts").textContent = found.search === null ? t("looks.facts", { rows: tn("count.row", found.candidates) }) : t("result.facts", { rows: tn("count.row", found.candidates), exact: found.rescored.toLocaleString(), ms: Math.round(found.milliseconds) });
    byId("model").textContent = found.model ? modelText(found.model) : "";
    document.querySelector(".exports").hidden = found.search === null;
    verdict();
    const context = { gallery: info.name, parts: info.parts, search: found.search, farthest: Math.max(1, ...found.hits.flatMap((hit) => Object.values(hit.parts))) };
    byId("hits").replaceChildren(...found.hits.map((hit) => card(hit, context, { ...on, give, open: (one) => openDetail(one, context, { ...on, give }, steps(one)) })));
    byId("sightings").hidden = found.hits.length === 0;
    byId("sighted").querySelector("[value=matches]").disabled = !found.calibrated;
    const known = found.hits.some((hit) => feedback.get(hit.item.id)?.same);
    if (!quietly) byId("sighted").value = found.calibrated && found.match ? "matches" : known ? "confirmed" : "all";
    found.hits.forEach((hit) => mark(hit.item.id));
    on.shown();
    sightings();
    refine();
    if (quietly) return;
    // Beside the form the results are in sight; below it they are not.
    if (matchMedia("(max-width: 900px)").matches) byId("results").scrollIntoView();
    else if (before) scrollTo({ top: 0 });
    byId("title").focus({ preventScroll: true });
    say(`${byId("title").textContent}. ${byId("verdict").textContent}`);
  }

  function verdict() {
    const words = [...answer.notes];
    if (changed) words.unshift(changed);
    if (answer.calibrated && answer.match) {
      const near = answer.hits.filter(matches).length;
      words.unshift(tn("result.matches", near));
    }
    const include = answer.unseen ? el("button", { type: "button", id: "include", click: on.include }, tn("looks.include", answer.unseen)) : "";
    byId("verdict").replaceChildren(...words.map(paragraph), include);
    byId("verdict").classList.toggle("none", answer.match === false || !answer.hits.length);
    byId("verdict").hidden = words.length === 0;
  }

  const matches = (hit) => answer.threshold !== null && hit.distance <= answer.threshold;

  /** Results that the timeline shows. */
  function sighted() {
    const which = byId("sighted").value;
    return answer.hits.filter((hit) => {
      const same = feedback.get(hit.item.id)?.same;
      if (which === "confirmed") return same === true;
      return same !== false && (which === "all" || same === true || matches(hit));
    });
  }

  /** What the arrow keys step through from a result: sightings in order of time, or results where it has no time. */
  function steps(hit) {
    const times = sighted().filter((one) => one.item.time !== null).sort((a, b) => a.item.time - b.item.time);
    return times.includes(hit) ? { order: times, named: "sighting" } : { order: answer.hits, named: "result" };
  }

  function sightings() {
    const joined = byId("sighted").value !== "all";
    const seen = sighted().filter((hit) => hit.item.time !== null).sort((a, b) => a.item.time - b.item.time);
    byId("path").replaceChildren(...(joined && plan && seen.length ? [drawPlan(plan, seen, findImpossible(seen, gallery))] : []));
    drawTimeline(sighted(), {
      joined,
      limits: gallery,
      lit: (item, yes) => byId(`hit-${item.id}`)?.classList.toggle("lit", yes),
      open: (item) => {
        byId(`hit-${item.id}`).scrollIntoView({ block: "center" });
        byId(`hit-${item.id}`).querySelector(".image").focus();
      },
    });
  }

  /** Say whether a result is the person; the same once more takes it back. */
  function give(hit, same) {
    const at = { known: feedback, name: gallery.name, search: answer.search, query: answer.query_hash };
    const before = saying.get(hit.item.id) ?? Promise.resolve();
    saying.set(hit.item.id, before.then(() => keep(hit.item.id, same, at)).catch(on.failed));
  }

  async function keep(id, same, { known, name, ...here }) {
    const before = known.get(id);
    const back = before?.same === same;
    // The store keeps feedback by query: what was said of another one is changed there.
    const there = before?.query && before.query !== here.query ? { search: before.search, query: before.query } : here;
    const put = (one) => {
      if (one) known.set(id, one);
      else known.delete(id);
      mark(id);
      if (answer) sightings();
      refine();
    };
    put(back ? undefined : { same, ...there });
    try {
      await ask(`/galleries/${name}/searches/${there.search}/feedback`, { json: { item: id, same: back ? null : same } });
    } catch (error) {
      put(before);
      throw error;
    }
  }

  function mark(id) {
    const node = byId(`hit-${id}`);
    if (!node) return;
    const same = feedback.get(id)?.same;
    node.classList.toggle("confirmed", same === true);
    node.classList.toggle("rejected", same === false);
    node.querySelector(".yes").setAttribute("aria-pressed", String(same === true));
    node.querySelector(".no").setAttribute("aria-pressed", String(same === false));
  }

  function refine() {
    const yes = [...feedback.values()].filter((one) => one.same).length;
    const no = feedback.size - yes;
    byId("refine").hidden = feedback.size === 0 || !answer;
    byId("refine-text").textContent = [yes ? tn("result.confirmed", yes) : "", no ? tn("result.rejected", no) : ""].filter(Boolean).join(", ");
  }

  async function save(format) {
    const blur = byId("blur").checked;
    const url = await blobOf(`/galleries/${gallery.name}/searches/${answer.search}/report?format=${format}&blur=${blur}`);
    const link = el("a", { href: url, download: `unveil-${gallery.name}-${answer.query_hash.slice(0, 12)}.${format}` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    say(t("result.exported", { format }));
  }

  byId("sighted").addEventListener("change", sightings);
  byId("again").addEventListener("click", () => {
    repeated = true;
    on.again();
  });
  for (const button of document.querySelectorAll("[data-export]")) {
    button.addEventListener("click", () => save(button.dataset.export).catch(on.failed));
  }
  new ResizeObserver(() => { if (answer && !byId("answer").hidden) sightings(); }).observe(byId("results"));

  return {
    wait,
    fail,
    show,
    /** Forget feedback: another person is searched for. */
    forget() {
      repeated = false;
      feedback = new Map();
      refine();
    },
    clear() {
      answer = null;
      feedback = new Map();
      refine();
      state("empty");
    },
    /** Take up what is known of the gallery now, such as how far its cameras are apart. */
    update(info) {
      if (gallery?.name !== info.name) return;
      gallery = info;
      if (answer && !byId("answer").hidden) sightings();
    },
    /** Draw the paths of people on this plan from now on; null for none. */
    setPlan(found) {
      plan = found;
      if (answer && !byId("answer").hidden) sightings();
    },
    /** Show the same answer anew, as in another time zone. */
    repaint() {
      if (answer && !byId("answer").hidden) show(answer, gallery, { quietly: true });
    },
    /** Take up feedback from before. */
    remember({ confirmed, rejected }) {
      for (const id of confirmed) feedback.set(id, { same: true });
      for (const id of rejected) feedback.set(id, { same: false });
    },
    settle() {
      state(answer ? "answer" : "empty");
    },
    /** Rows with feedback, to search with; the server takes some dozens of each, the latest count. */
    get feedback() {
      const rows = (same) => [...feedback].filter(([, one]) => one.same === same).map(([item]) => item).slice(-MAX_ROWS);
      return { confirmed: rows(true), rejected: rows(false) };
    },
  };
}
