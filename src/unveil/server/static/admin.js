// For admins: users and their tokens, and the audit log of a gallery or of all.
import { ask, askJson } from "./api.js";
import { byId, el, say } from "./dom.js";
import { timeText } from "./format.js";
import { t } from "./words.js";

const PAGE = 100;
const ROLES = ["reader", "operator", "admin"];
const DAY = 86400;

/** `on` has run(promise), galleries() (their names), me() (name of who is signed in). */
export function createAdmin(on) {
  let gallery = "";

  async function show() {
    byId("admin-body").replaceChildren(el("h2", { id: "admin-title", tabindex: "-1" }, t("view.admin")),
      el("section", { "aria-labelledby": "users-title" }, el("h3", { id: "users-title" }, t("admin.users")), el("div", { id: "users" })),
      el("section", { "aria-labelledby": "log-title" }, el("h3", { id: "log-title" }, t("admin.log")), el("div", { id: "log" })));
    await Promise.all([users(), log(0)]);
  }

  async function users() {
    let found;
    try {
      found = await askJson("/users");
    } catch (error) {
      byId("users").replaceChildren(el("p", { class: "quiet" }, error.message));
      return;
    }
    const head = ["name", "role", "galleries", "expires", "used"].map((name) => el("th", { scope: "col" }, t(`admin.${name}`)));
    const rows = found.map((user) => el("tr", { "data-user": user.name },
      el("th", { scope: "row" }, user.name), el("td", {}, t(`role.${user.role}`)), el("td", {}, user.galleries.join(", ") || t("admin.all")),
      el("td", {}, user.expires === null ? t("admin.never") : timeText(user.expires)), el("td", {}, user.used === null ? t("admin.not-known") : timeText(user.used)),
      el("td", {}, user.name === on.me() ? null : el("button", { type: "button", class: "plain danger", click: () => on.run(remove(user.name)) }, t("admin.revoke", { name: user.name })))));
    byId("users").replaceChildren(el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("admin.users") }, el("table", { class: "list" }, el("thead", {}, el("tr", {}, ...head, el("td", {}))), el("tbody", {}, ...rows))), adding());
  }

  function adding() {
    const name = el("input", { id: "user-name", autocomplete: "off", required: true, maxlength: 64 });
    const role = el("select", { id: "user-role" }, ...ROLES.map((one) => el("option", { value: one }, t(`role.${one}`))));
    const where = el("input", { id: "user-galleries", autocomplete: "off", placeholder: on.galleries().join(", ") });
    const days = el("input", { id: "user-days", inputmode: "numeric", autocomplete: "off" });
    const shown = el("p", { id: "user-token", class: "verdict", role: "status", hidden: true });
    const make = async () => {
      const galleries = where.value.split(",").map((one) => one.trim()).filter(Boolean);
      const seconds = days.value.trim() ? Number(days.value) * DAY : null;
      if (Number.isNaN(seconds)) throw new Error(t("admin.no-days"));
      const { token } = await askJson("/users", { json: { name: name.value.trim(), role: role.value, galleries, seconds } });
      const words = [el("span", {}, t("admin.token", { name: name.value.trim() })), " ", el("code", {}, token)];
      await users();
      byId("user-token").replaceChildren(...words);
      byId("user-token").hidden = false;
    };
    return el("form", { class: "add-words", submit: (event) => {
      event.preventDefault();
      on.run(make());
    } }, el("label", {}, t("admin.name"), name), el("label", {}, t("admin.role"), role), el("label", {}, t("admin.galleries"), where),
    el("label", {}, t("admin.days"), days), el("button", { type: "submit" }, t("admin.add")), shown);
  }

  async function remove(name) {
    if (!confirm(t("admin.sure", { name }))) return;
    await ask(`/users/${encodeURIComponent(name)}`, { method: "DELETE" });
    await users();
    say(t("admin.revoked", { name }));
  }

  async function log(after) {
    const { entries, next } = await askJson(`/audit?limit=${PAGE}&after=${after}${gallery ? `&gallery=${gallery}` : ""}`);
    const pick = el("select", { id: "log-gallery", change: (event) => {
      gallery = event.target.value;
      on.run(log(0));
    } }, el("option", { value: "" }, t("admin.all")), ...on.galleries().map((name) => el("option", { value: name }, name)));
    pick.value = gallery;
    const head = ["number", "time", "who", "action", "gallery", "why", "details"].map((name) => el("th", { scope: "col" }, t(`admin.${name}`)));
    const rows = entries.map((entry) => el("tr", {}, el("td", {}, String(entry.number)), el("td", {}, timeText(entry.time)), el("td", {}, entry.who),
      el("td", {}, entry.action), el("td", {}, entry.gallery ?? ""), el("td", {}, entry.why ?? ""),
      el("td", { class: "quiet" }, JSON.stringify(entry.details ?? {}).slice(0, 200))));
    byId("log").replaceChildren(el("label", {}, t("admin.gallery"), pick),
      el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": t("admin.log") }, el("table", { class: "list" }, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows))),
      el("div", { class: "row" },
        after ? el("button", { type: "button", click: () => on.run(log(0)) }, t("admin.first")) : null,
        next ? el("button", { type: "button", id: "log-next", click: () => on.run(log(next)) }, t("admin.next")) : null));
  }

  return { show };
}
