// The page: signs in, shows the galleries, and ties query, filters and results together.
import { askJson, Refused, signedIn, signIn } from "./api.js";
import { byId, el } from "./dom.js";
import { offerFilters, readFilters } from "./filters.js";
import { count, isDate, LOCAL, moment, setTimeZone, timeZone } from "./format.js";
import { createQuery } from "./query.js";
import { createResults } from "./results.js";

let galleries = [];
let gallery = null;
let session = null;
let under = 0;
let searching = null;
let anyway = false; // search although nobody is seen on the picture

const results = createResults({
  failed,
  again: () => search(),
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
  byId("query-error").textContent = text;
  byId("query-error").hidden = !text;
  byId("anyway").hidden = !offer;
}

async function begin() {
  session = await askJson("/session");
  galleries = await askJson("/galleries");
  query.detector = session.detector;
  byId("why-note").textContent = session.require_why ? "(asked for by this server)" : "(for the audit log)";
  byId("why").required = session.require_why;
  byId("blur-label").hidden = session.role === "reader";
  byId("session").hidden = !signedIn();
  byId("session").textContent = `${session.name} (${session.role}): sign out`;
  byId("gallery").replaceChildren(...galleries.map((g) => el("option", { value: g.name, disabled: !g.searchable }, g.searchable ? g.name : `${g.name} (another model)`)));
  const first = galleries.find((g) => g.searchable);
  if (first) byId("gallery").value = first.name;
  // A picture may have been chosen before the galleries were known: it stays.
  pick();
}

function pick() {
  gallery = galleries.find((g) => g.name === byId("gallery").value) ?? null;
  byId("search").disabled = !gallery?.searchable;
  results.clear();
  describe();
  if (gallery) offerFilters(gallery);
}

/** Say what the gallery holds. */
function describe() {
  byId("zone-label").hidden = !gallery || gallery.start === null || !isDate(gallery.start);
  if (!gallery) {
    byId("about").textContent = "There is no gallery yet: “unveil gallery add” makes one.";
    return;
  }
  const counts = [[gallery.tracklets, "track"], [gallery.crops, "crop"], [gallery.cameras.length, "camera"]];
  const rows = counts.filter(([n]) => n > 0).map(([n, one]) => count(n, one));
  const times = gallery.start === null ? [] : [`${moment(gallery.start)} to ${moment(gallery.end)}`];
  byId("about").textContent = [...rows, ...times, gallery.calibrated ? "calibrated" : "not calibrated"].join(" · ");
}

async function search() {
  complain("");
  if (query.empty) {
    complain("Choose a picture of the person first.");
    byId("file").focus();
    return;
  }
  let asked;
  try {
    asked = { ...readFilters(), ...(anyway ? { anyway } : {}) };
  } catch (error) {
    complain(error.message);
    return;
  }
  if (session.require_why && !asked.why) {
    complain("This server asks for a reason.");
    byId("why").focus();
    return;
  }
  searching?.abort();
  const mine = new AbortController();
  searching = mine;
  byId("search").disabled = true;
  results.wait();
  try {
    const found = await run(attempt(asked, mine.signal));
    if (mine !== searching) return;
    if (found) results.show(found, gallery);
    else results.settle();
  } finally {
    if (mine === searching) byId("search").disabled = false;
  }
}

async function attempt(asked, signal, again = true) {
  const json = { ...asked, ...query.pieces, ...results.judged };
  try {
    return await askJson(`/galleries/${gallery.name}/searches`, { json, signal });
  } catch (error) {
    // The server forgets pictures after a while, or when it starts anew.
    if (error.status !== 410 || !again) throw error;
    await query.renew();
    return attempt(asked, signal, false);
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
byId("file").addEventListener("change", (event) => {
  const files = [...event.target.files];
  event.target.value = "";
  if (files.length) run(query.take(files));
});
byId("gallery").addEventListener("change", () => {
  query.clear();
  pick();
});
byId("zone").replaceChildren(...[...new Set([LOCAL, "UTC"])].map((name) => el("option", { value: name }, name)));
byId("zone").value = timeZone();
byId("zone").addEventListener("change", () => {
  setTimeZone(byId("zone").value);
  describe();
  results.repaint();
});
byId("session").addEventListener("click", () => {
  signIn("");
  location.reload();
});
byId("sign-in").querySelector("form").addEventListener("submit", () => {
  signIn(byId("token").value);
  byId("token").value = "";
  run(begin());
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

run(begin());
