// A text that several people may change: saved when asked for, and when another was faster both texts are shown.
import { Refused } from "./api.js";
import { el } from "./dom.js";
import { t } from "./words.js";

/**
 * Return a field with its button. `save(text, version)` resolves to the new version, `failed(error)` shows an error;
 * `rows` makes it a field of several lines.
 */
export function sharedText({ label, text, version, most, rows, save, failed }) {
  let known = version;
  const field = rows ? el("textarea", { rows, maxlength: most }) : el("input", { maxlength: most, autocomplete: "off" });
  field.value = text;
  let kept = text;
  const button = el("button", { type: "button", disabled: true, click: () => send() }, t("text.save"));
  const said = el("span", { class: "quiet", role: "status" });
  const clash = el("div", { class: "clash", role: "alert", hidden: true });
  field.addEventListener("input", () => {
    button.disabled = field.value === kept;
    said.textContent = "";
  });

  async function send() {
    button.disabled = true;
    const mine = field.value;
    try {
      known = await save(mine, known);
      kept = mine;
      button.disabled = field.value === kept;
      clash.hidden = true;
      said.textContent = t("text.saved");
    } catch (error) {
      button.disabled = false;
      if (error instanceof Refused && error.conflict) show(error.conflict);
      else failed(error);
    }
  }

  function show({ who, text: theirs, version: newer }) {
    known = newer;
    clash.hidden = false;
    clash.replaceChildren(
      el("p", {}, t("text.clash", { who })),
      el("blockquote", {}, theirs || t("text.empty")),
      el("div", { class: "row" },
        el("button", { type: "button", click: () => { clash.hidden = true; send(); } }, t("text.mine")),
        el("button", { type: "button", click: () => {
          field.value = theirs;
          kept = theirs;
          button.disabled = true;
          clash.hidden = true;
        } }, t("text.theirs"))));
  }

  return el("div", { class: "shared" }, el("label", {}, label, field), el("div", { class: "row" }, button, said), clash);
}
