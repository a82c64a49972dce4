// The page: signs in, shows the galleries, and ties query, filters and results together.
import { askJson, Refused, signedIn, signIn } from "./api.js";
import { byId, el } from "./dom.js";
import { go, onMove, where } from "./address.js";
import { createAdmin } from "./admin.js";
import { createAdding } from "./adding.js";
import { asAnswer, asksLooks } from "./attributes.js";
import { createAlerts } from "./alerts.js";
import { createCases } from "./cases.js";
import { offerFilters, readFilters, writeFilters } from "./filters.js";
import { isDate, LOCAL, timeText, setTimeZone, timeZone } from "./format.js";
import { createPeople } from "./people.js";
import { createPlanEditor } from "./plan_editor.js";
import { createQuery } from "./query.js";
import { createResults } from "./results.js";
import { createSeveral } from "./several.js";
import { language, LANGUAGES, setLanguage, t, tn, translate } from "./words.js";

translate();

let galleries = [];
let gallery = null;
let session = null;
let ready = null; // settles when session and galleries are known
let settled = null; // settles when what belongs to the picked gallery is known too
let moves = 0;
let under = 0;
let searching = null;
let asked = null; // the search that the results are of: {gallery, others, search}
let anyway = false; // search although nobody is seen on the image

const cases = createCases({ run, failed, asked: () => asked && { ...asked, search: { ...asked.search, ...results.feedback } }, renew, repeat, changed: markKept });
const adding = createAdding({ run, failed, gallery: () => gallery?.name, changed: refresh });
const admin = createAdmin({ run, galleries: () => galleries.map((one) => one.name), me: () => session.name });
const several = createSeveral({
  galleries: () => galleries.filter((one) => one.searchable), gallery: () => gallery?.name, why: () => session.require_why,
  search: (file, name) => run((async () => {
    go({ view: "search" });
    if (gallery?.name !== name) {
      byId("gallery").value = name;
      pick();
    }
    await query.take([file]);
  })()),
});
const people = createPeople({
  run, gallery: () => gallery?.name, may: () => session.role !== "reader",
  search: ([first, ...others]) => run((async () => {
    go({ view: "search" });
    await query.only(gallery.name, first);
    for (const row of others) await query.add(gallery.name, row);
    await search();
  })()),
});
const plan = createPlanEditor({
  run, gallery: () => gallery, admin: () => session.role === "admin", found: (one) => results.setPlan(one), changed: refresh,
});
const alerts = createAlerts({
  run, gallery: () => gallery?.name, admin: () => session.role === "admin",
  search: async (file) => {
    go({ view: "search" });
    await query.take([file]);
  },
});
const results = createResults({
  failed,
  shown: markKept,
  keep: (name, item) => run(cases.toggle(name, item)),
  again: () => search(),
  include: () => {
    byId("include-unseen").checked = true;
    search();
  },
  from: (item) => run(query.only(gallery.name, item.id).then(search)),
  add: (item) => run(query.add(gallery.name, item.id)),
  not: (item) => run(query.add(gallery.name, item.id, true)),
});
const query = createQuery({
  fresh: () => results.forget(),
  changed: () => {
    anyway = false;
    complain("");
  },
});

/** Show that something is under way until it is done; errors are shown. */
async function run(work) {
  under += 1;
  byId("progress").hidden = false;
  try {
    return await work;
  } catch (error) {
    if (error.name !== "AbortError") failed(error);
    return undefined;
  } finally {
    under -= 1;
    byId("progress").hidden = under > 0 ? false : true;
  }
}

function failed(error) {
  if (error.status === 401) openSignIn(signedIn() ? error.message : "");
  else if (error instanceof Refused || error instanceof Error) complain(error.message, error.anyway);
}

function complain(text, offer = false) {
  // Where the form is not shown, its errors would not be seen.
  byId("view-error").textContent = text;
  byId("view-error").hidden = !text || where().view === "search";
  byId("query-error").textContent = text;
  byId("query-error").hidden = !text;
  byId("anyway").hidden = !offer;
}

/** Ask who is signed in and what there is, then show it; what is asked for meanwhile waits. */
function begin() {
  ready = learn();
  unfold();
}

/** Read what belongs to the gallery that is picked, then show the view. */
function unfold() {
  settled = ready.then(() => run(alerts.begin())).then(() => run(plan.begin()));
  follow();
}

/** Show the view that the address names once, however often it changed while the page was reading. */
function follow() {
  const mine = ++moves;
  run(settled.then(() => (mine === moves ? move() : undefined)));
}

async function learn() {
  session = await askJson("/session");
  galleries = await askJson("/galleries");
  several.forget();
  query.detector = session.detector;
  byId("why-note").textContent = t(session.require_why ? "query.asked-for" : "query.for-log");
  byId("why").required = session.require_why;
  byId("blur-label").hidden = session.role === "reader";
  document.querySelector("nav [data-view=admin]").hidden = session.role !== "admin";
  byId("session").hidden = !signedIn();
  byId("session").textContent = t("page.sign-out", { name: session.name, role: t(`role.${session.role}`) });
  byId("gallery").replaceChildren(...galleries.map((g) => el("option", { value: g.name, disabled: !g.searchable }, g.searchable ? g.name : t("page.another-model", { name: g.name }))));
  const first = galleries.find((g) => g.searchable);
  if (first) byId("gallery").value = first.name;
  cases.session = session;
  document.querySelector("nav [data-view=adding]").hidden = session.role === "reader";
  // An image may have been chosen before the galleries were known: it stays.
  pick();
}

/** Show the view that the address names. */
async function move() {
  const { view } = where();
  byId("view-error").hidden = true;
  for (const button of document.querySelectorAll("nav [data-view]")) {
    if (button.dataset.view === view) button.setAttribute("aria-current", "page");
    else button.removeAttribute("aria-current");
    byId(`view-${button.dataset.view}`).hidden = button.dataset.view !== view;
  }
  adding.stop();
  if (view === "alerts") alerts.show();
  else alerts.hide();
  if (view === "adding") await adding.show();
  if (view === "admin") await admin.show();
  if (view === "several") several.show();
  if (view === "people") await people.show();
  if (view === "plan") plan.show();
  await cases.show();
}

/** Read again what the galleries hold: rows were added. */
async function refresh() {
  galleries = await askJson("/galleries");
  gallery = galleries.find((one) => one.name === gallery?.name) ?? null;
  describe();
  if (!gallery) return;
  offerFilters(gallery);
  results.update(gallery);
}

/** Offer to keep results where a case is open, and show which are kept. */
function markKept() {
  for (const button of document.querySelectorAll("#hits .keep")) {
    button.hidden = !cases.open;
    button.setAttribute("aria-pressed", String(cases.kept(button.dataset.gallery, Number(button.dataset.item))));
  }
}

/** Send the images of the search again that the server let go of. */
async function renew() {
  await query.renew();
  asked = { ...asked, search: { ...asked.search, ...query.pieces } };
}

/** Ask a search again that a case has kept. */
async function repeat(kept) {
  if (!galleries.some((one) => one.name === kept.gallery && one.searchable)) throw new Error(t("case.no-gallery", { name: kept.gallery }));
  if (gallery?.name !== kept.gallery) {
    byId("gallery").value = kept.gallery;
    pick();
  }
  if (!(await query.restore(kept.gallery, kept))) return;
  writeFilters(kept.settings);
  results.remember(kept);
  anyway = true; // it was asked before
  await search();
}

function pick() {
  gallery = galleries.find((g) => g.name === byId("gallery").value) ?? null;
  byId("search").disabled = !gallery?.searchable;
  results.clear();
  asked = null;
  cases.searched();
  describe();
  if (gallery) offerFilters(gallery);
}

/** Say what the gallery holds. */
function describe() {
  byId("zone-label").hidden = !gallery || gallery.start === null || !isDate(gallery.start);
  if (!gallery) {
    byId("about").textContent = t("page.no-gallery");
    return;
  }
  const counts = [[gallery.tracklets, "count.track"], [gallery.crops, "count.crop"], [gallery.cameras.length, "count.camera"]];
  const rows = counts.filter(([n]) => n > 0).map(([n, key]) => tn(key, n));
  const times = gallery.start === null ? [] : [t("page.from-to", { start: timeText(gallery.start), end: timeText(gallery.end) })];
  byId("about").textContent = [...rows, ...times, t(gallery.calibrated ? "page.calibrated" : "page.not-calibrated")].join(" · ");
}

async function search() {
  complain("");
  await ready.catch(() => {}); // why not was shown
  if (!session) return;
  const alone = query.empty && asksLooks();
  if (query.empty && !alone) {
    complain(t("query.choose-first"));
    byId("file").focus();
    return;
  }
  let form;
  try {
    form = { ...readFilters(), ...(anyway ? { skip_person_check: true } : {}) };
  } catch (error) {
    complain(error.message);
    return;
  }
  if (session.require_why && !form.why) {
    complain(t("query.no-reason"));
    byId("why").focus();
    return;
  }
  searching?.abort();
  const mine = new AbortController();
  searching = mine;
  byId("search").disabled = true;
  results.wait();
  try {
    const found = await run(alone ? listing(form, mine.signal) : attempt(form, mine.signal));
    if (mine !== searching) return;
    if (found) {
      asked = alone ? null : { gallery: gallery.name, others: [], search: { ...form, ...query.pieces, ...results.feedback } };
      results.show(found, gallery);
      cases.searched();
    }
    else results.settle();
  } finally {
    if (mine === searching) byId("search").disabled = false;
  }
}

/** Ask for rows by what people wear alone. */
async function listing({ where: filters, rows, top, why }, signal) {
  return asAnswer(await askJson(`/galleries/${gallery.name}/listings`, { json: { where: filters, rows, top, why }, signal }));
}

async function attempt(form, signal, again = true) {
  const json = { ...form, ...query.pieces, ...results.feedback };
  try {
    return await askJson(`/galleries/${gallery.name}/searches`, { json, signal });
  } catch (error) {
    // The server forgets images after a while, or when it starts anew.
    if (error.status !== 410 || !again) throw error;
    await query.renew();
    return attempt(form, signal, false);
  }
}

function openSignIn(words) {
  byId("sign-in-error").textContent = words;
  byId("sign-in-error").hidden = !words;
  if (!byId("sign-in").open) byId("sign-in").showModal();
}

byId("query").addEventListener("submit", (event) => {
  event.preventDefault();
  search();
});
byId("anyway").addEventListener("click", () => {
  anyway = true;
  search();
});
function takeChosen() {
  const files = [...byId("file").files];
  byId("file").value = "";
  if (files.length) run(query.take(files));
}

byId("file").addEventListener("change", takeChosen);
byId("gallery").addEventListener("change", () => {
  query.clear();
  go({ person: null });
  pick();
  unfold();
});
byId("language").replaceChildren(...Object.entries(LANGUAGES).map(([code, name]) => el("option", { value: code, lang: code }, name)));
byId("language").value = language;
byId("language").addEventListener("change", () => setLanguage(byId("language").value));
byId("zone").replaceChildren(...[...new Set([LOCAL, "UTC"])].map((name) => el("option", { value: name }, name)));
byId("zone").value = timeZone();
byId("zone").addEventListener("change", () => {
  setTimeZone(byId("zone").value);
  describe();
  results.repaint();
  if (where().view === "people") run(people.show());
});
byId("session").addEventListener("click", () => {
  signIn("");
  location.reload();
});
byId("sign-in").querySelector("form").addEventListener("submit", () => {
  signIn(byId("token").value);
  byId("token").value = "";
  begin();
});

byId("draw").addEventListener("click", (event) => {
  // A press of a key has no detail: then the box is placed and moved by keys.
  if (event.detail === 0) {
    query.stage.place();
    return;
  }
  const on = byId("draw").getAttribute("aria-pressed") !== "true";
  byId("draw").setAttribute("aria-pressed", String(on));
  query.stage.draw(on);
});
byId("whole").addEventListener("click", () => query.stage.choose(-1));
byId("enlarge").addEventListener("click", () => {
  byId("large").querySelector(".large-body").append(byId("stage"));
  byId("large").showModal();
});
byId("large").querySelector(".close").addEventListener("click", () => byId("large").close());
byId("large").addEventListener("close", () => byId("drop").append(byId("stage")));

addEventListener("dragover", (event) => {
  event.preventDefault();
  byId("drop").classList.add("over");
});
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) byId("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  byId("drop").classList.remove("over");
  if (event.dataTransfer?.files.length) run(query.take(event.dataTransfer.files));
});
addEventListener("paste", (event) => {
  if (event.clipboardData?.files.length) run(query.take(event.clipboardData.files));
});

for (const button of document.querySelectorAll("nav [data-view]")) button.addEventListener("click", () => go({ view: button.dataset.view, person: null }));
onMove(follow);
// The form can be filled before the words are there: what was chosen meanwhile told nobody.
takeChosen();
byId("search").disabled = false;
begin();
