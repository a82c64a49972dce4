// The state that the address holds: which view is shown, which case and which person are open. It survives a reload, and can be sent.

const listeners = [];

/** Return the state in the address: {view, case, person}. */
export function where() {
  const found = new URLSearchParams(location.hash.slice(1));
  return { view: found.get("view") ?? "search", case: Number(found.get("case")) || null, person: Number(found.get("person")) || null };
}

/** Change the state; what is not named stays. */
export function go(changes) {
  const next = { ...where(), ...changes };
  const words = new URLSearchParams();
  if (next.view !== "search") words.set("view", next.view);
  if (next.case) words.set("case", next.case);
  if (next.person && next.view === "people") words.set("person", next.person);
  const hash = words.toString();
  if (hash === location.hash.slice(1)) return;
  history.pushState(null, "", hash ? `#${hash}` : location.pathname);
  for (const listener of listeners) listener(where());
}

/** Call when the state changes, by the page or by the browser's own back and forward. */
export function onMove(listener) {
  listeners.push(listener);
}

addEventListener("popstate", () => {
  for (const listener of listeners) listener(where());
});
