// Adding films and images: named in the operator's folders or sent, as jobs that run on whatever the page does.
import { ask, askJson, patiently } from "./api.js";
import { byId, el, icon } from "./dom.js";
import { isDate, timeText, seconds } from "./format.js";
import { t, tn } from "./words.js";

const LOOK_EVERY = 1500; // milliseconds between two looks at jobs that run
const ENDED = ["done", "failed", "cancelled"];

/** `on` has run(promise), failed(error), gallery() (its name), changed() when rows were added. */
export function createAdding(on) {
  let timer = null;
  let shown = null; // name of the gallery
  let ended = 0;
  let under = null; // folder that is listed
  let sending = Promise.resolve(); // files go one after the other: together they ask more often than the server lets one ask

  async function show() {
    stop();
    shown = on.gallery();
    if (!shown) {
      byId("adding-body").replaceChildren(el("h2", { id: "adding-title", tabindex: "-1" }, t("view.adding")), el("p", { class: "quiet" }, t("add.no-gallery")));
      return;
    }
    build();
    await list(null).catch((error) => byId("places").replaceChildren(el("p", { class: "quiet" }, error.message)));
    await look();
  }

  function stop() {
    clearTimeout(timer);
    timer = null;
  }

  function build() {
    const words = (id, key, attributes = {}) => el("label", {}, t(key), el("input", { id, autocomplete: "off", ...attributes }));
    byId("adding-body").replaceChildren(
      el("h2", { id: "adding-title", tabindex: "-1" }, t("add.title", { gallery: shown })),
      el("form", { id: "add-form", class: "add-form", submit: begin },
        el("div", { class: "row wide" }, words("add-source", "add.source", { required: true, placeholder: "/films/monday.mp4" }),
          el("button", { class: "primary", type: "submit" }, t("add.begin"))),
        el("div", { id: "places", class: "places", role: "group", "aria-label": t("add.places") }),
        el("div", { class: "add-words" }, words("add-camera", "add.camera"), words("add-start", "add.start", { placeholder: "2026-03-02T08:00" }),
          words("add-tags", "add.tags"), words("add-fps", "add.fps", { inputmode: "decimal" }),
          el("label", { class: "check" }, el("input", { id: "add-scenes", type: "checkbox" }), t("add.scenes"))),
        el("p", { id: "add-error", class: "error", role: "alert", hidden: true })),
      el("div", { class: "row" },
        el("label", { class: "button", for: "add-file" }, icon("upload-small"), t("add.upload")),
        el("input", { id: "add-file", class: "unseen", type: "file", accept: "video/*,image/*", multiple: true, "aria-label": t("add.upload"), change: (event) => {
          const files = [...event.target.files];
          event.target.value = "";
          for (const file of files) on.run(send(file));
        } })),
      el("ul", { id: "sending", class: "kept" }),
      el("section", { "aria-labelledby": "jobs-title" }, el("h3", { id: "jobs-title" }, t("add.jobs")), el("ul", { id: "jobs", class: "kept jobs" })));
  }

  function complain(words) {
    byId("add-error").textContent = words;
    byId("add-error").hidden = !words;
  }

  function settings() {
    const start = seconds(byId("add-start").value);
    const fps = byId("add-fps").value.trim();
    if (Number.isNaN(start) || (start !== null && !isDate(start))) throw new Error(t("add.no-start"));
    if (fps && !(Number(fps) > 0)) throw new Error(t("add.no-fps"));
    return {
      camera: byId("add-camera").value.trim() || null, start, scenes: byId("add-scenes").checked, fps: fps ? Number(fps) : null,
      tags: byId("add-tags").value.split(",").map((tag) => tag.trim()).filter(Boolean),
    };
  }

  async function begin(event) {
    event.preventDefault();
    complain("");
    try {
      await askJson(`/galleries/${shown}/ingests`, { json: { source: byId("add-source").value.trim(), ...settings() } });
      byId("add-source").value = "";
      await look();
    } catch (error) {
      complain(error.message);
    }
  }

  /** List the folders that may be named, or what lies in one. */
  async function list(folder) {
    const { entries, more } = await askJson(`/galleries/${shown}/places${folder ? `?under=${encodeURIComponent(folder)}` : ""}`);
    under = folder;
    const pick = (entry) => {
      byId("add-source").value = entry.path;
      if (entry.folder) on.run(list(entry.path));
    };
    const nodes = entries.map((entry) => el("button", { type: "button", class: "place-button", click: () => pick(entry) }, icon(entry.folder ? "case" : "film"), entry.live ? t("add.live", { name: entry.name }) : entry.name));
    if (under) nodes.unshift(el("button", { type: "button", class: "plain", click: () => on.run(list(null)) }, icon("left"), t("add.all-places")));
    byId("places").replaceChildren(...nodes, more ? el("p", { class: "quiet" }, t("add.more-places")) : "");
  }

  /** Send a file in pieces, then add it. */
  async function send(file) {
    const gallery = shown;
    const asked = settings();
    const bar = el("progress", { max: file.size, value: 0, "aria-label": file.name });
    let given = false;
    const row = el("li", {}, el("strong", {}, file.name), bar, el("button", { type: "button", class: "plain", click: () => { given = true; } }, t("add.cancel")));
    byId("sending").append(row);
    const before = sending;
    let next;
    sending = new Promise((resolve) => { next = resolve; });
    const get = (path, options) => patiently(() => askJson(path, options));
    try {
      await before;
      if (given) return;
      const { upload, piece } = await get(`/galleries/${gallery}/uploads`, { json: { name: file.name, bytes: file.size } });
      const path = `/galleries/${gallery}/uploads/${upload}`;
      let told = { received: 0, source: null };
      while (!told.source) {
        if (given) {
          await ask(path, { method: "DELETE" });
          return;
        }
        told = await get(`${path}?offset=${told.received}`, { body: file.slice(told.received, told.received + piece) });
        bar.value = told.received;
      }
      await get(`/galleries/${gallery}/ingests`, { json: { source: told.source, ...asked } });
      if (gallery === shown) await look();
    } catch (error) {
      complain(error.message);
    } finally {
      next();
      row.remove();
    }
  }

  async function look() {
    stop();
    const gallery = shown;
    let jobs;
    try {
      jobs = await askJson(`/galleries/${gallery}/ingests`);
    } catch (error) {
      on.failed(error);
      return;
    }
    if (gallery !== shown || !byId("jobs")) return;
    const open = new Set([...document.querySelectorAll("#jobs details[open]")].map((node) => node.dataset.job));
    byId("jobs").replaceChildren(...(jobs.length ? jobs.map((job) => drawn(job, open)) : [el("li", { class: "quiet" }, t("add.no-jobs"))]));
    const over = jobs.filter((job) => ENDED.includes(job.state)).length;
    if (over > ended) on.changed();
    ended = over;
    if (over < jobs.length) timer = setTimeout(look, LOOK_EVERY);
  }

  function drawn(job, open) {
    const steer = (action, key) => el("button", { type: "button", click: () => on.run(askJson(`/galleries/${job.gallery}/ingests/${job.id}`, { json: { action }, method: "PUT" }).then(look)) }, t(key));
    const running = ["running", "paused"].includes(job.state);
    const faults = job.errors.length + job.more_errors;
    const facts = [
      t(`add.state.${job.state}`), running && job.parts > 1 ? t("add.part", { part: job.part, parts: job.parts, what: job.what }) : "",
      job.tracklets ? tn("count.track", job.tracklets) : "", job.crops ? tn("count.crop", job.crops) : "", job.known ? t("add.known", { n: job.known }) : "",
      job.began ? timeText(job.began) : "", job.who,
    ].filter(Boolean).join(" · ");
    return el("li", { "data-job": job.id, "data-state": job.state },
      el("div", { class: "job-words" }, el("strong", {}, job.source.split("/").slice(-2).join("/")), el("p", { class: "quiet" }, facts),
        running ? el("progress", { "aria-label": t("add.progress"), ...(job.total ? { max: job.total, value: Math.min(job.done, job.total) } : {}) }) : null,
        ...job.notes.map((note) => el("p", { class: "quiet" }, note)),
        faults ? el("details", { "data-job": job.id, open: open.has(String(job.id)) }, el("summary", {}, tn("add.errors", faults)),
          el("ul", {}, ...job.errors.map((line) => el("li", {}, line)), job.more_errors ? el("li", {}, tn("add.more-errors", job.more_errors)) : null)) : null),
      el("div", { class: "row" }, job.state === "running" ? steer("pause", "add.pause") : null, job.state === "paused" ? steer("resume", "add.resume") : null,
        ENDED.includes(job.state) ? null : steer("cancel", "add.cancel")));
  }

  return { show, stop };
}
