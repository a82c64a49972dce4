// The page's words in the reader's language, all from words.json: key -> language -> text, with {names} to fill in.

const KEY = "unveil-language";
const catalogue = await (await fetch("/page/words.json")).json();

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français", es: "Español", zh: "中文" };

const wanted = [localStorage.getItem(KEY), ...navigator.languages].map((name) => (name ?? "").slice(0, 2));
export const language = wanted.find((name) => name in LANGUAGES) ?? "en";

const plural = new Intl.PluralRules(language);

/** Return a text; `{name}` in it is replaced by `values.name`. An unknown key is a fault of the page. */
export function t(key, values = {}) {
  const text = catalogue[key]?.[language];
  if (text === undefined) throw new Error(`no text ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** Return a number with what it counts: the key is `${key}.one` or `${key}.other`. */
export function tn(key, n, values = {}) {
  const form = plural.select(n) === "one" ? "one" : "other";
  return t(`${key}.${form}`, { n: n.toLocaleString(language), ...values });
}

/** Take another language: the page is loaded anew, since every text of it changes. */
export function setLanguage(name) {
  localStorage.setItem(KEY, name);
  location.reload();
}

/** Fill the texts of the page's own elements: data-t their text, data-t-NAME their attribute NAME. */
export function translate(root = document) {
  document.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const name of ["aria-label", "title", "placeholder"]) {
    for (const node of root.querySelectorAll(`[data-t-${name}]`)) node.setAttribute(name, t(node.getAttribute(`data-t-${name}`)));
  }
}
