// What assistive technology cannot name or follow.
() => {
  const bad = [];
  const part = (node) => node.outerHTML.slice(0, 80);
  const labelled = (node) => (node.getAttribute("aria-labelledby") ?? "").split(" ")
    .map((id) => document.getElementById(id)?.textContent ?? "").join(" ");
  const name = (node) => [
    node.getAttribute("aria-label") ?? "", labelled(node), ...[...(node.labels ?? [])].map((label) => label.textContent),
    node.textContent, node.title,
  ].join("").trim();
  const named = "button, a, input, select, summary, [role=button], dialog[open], main section[aria-labelledby]";
  // A hidden one is not told to anybody; it gets its name with what it shows.
  for (const node of document.querySelectorAll(named)) {
    if (!node.hidden && !name(node)) bad.push(`no name: ${part(node)}`);
  }
  for (const node of document.querySelectorAll("img:not([alt])")) bad.push(`no alt: ${part(node)}`);
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  ids.filter((id, k) => ids.indexOf(id) !== k).forEach((id) => bad.push(`twice: ${id}`));
  if (document.querySelectorAll("h1").length !== 1) bad.push("not one h1");
  if (!document.documentElement.lang) bad.push("no language");
  for (const node of document.querySelectorAll("[tabindex]")) if (node.tabIndex > 0) bad.push(`order: ${part(node)}`);
  return bad;
}
