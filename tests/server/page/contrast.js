// Text whose colour is too near to what lies behind it: WCAG 2.1, 1.4.3, level AA.
() => {
  const numbers = (text) => text.match(/[\d.]+/g).map(Number);
  const linear = (v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const luminance = (rgb) => rgb.reduce((sum, v, k) => sum + linear(v / 255) * [0.2126, 0.7152, 0.0722][k], 0);
  const over = (top, below) => below.map((v, k) => (top[3] ?? 1) * top[k] + (1 - (top[3] ?? 1)) * v);
  const up = (node, value) => {
    const all = [];
    for (let n = node; n; n = n.parentElement) all.unshift(value(getComputedStyle(n)));
    return all;
  };
  const skipped = ".unseen, .skip, [hidden], dialog:not([open]), option, script, .surface, button:disabled";
  const bad = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    if (!text || !node.getBoundingClientRect().width || node.closest(skipped)) continue;
    const style = getComputedStyle(node);
    const seen = up(node, (s) => Number(s.opacity)).reduce((a, b) => a * b, 1);
    const below = up(node, (s) => numbers(s.backgroundColor)).reduce((a, b) => over(b, a), [255, 255, 255]);
    const [r, g, b, a = 1] = numbers(style.color);
    const [light, dark] = [over([r, g, b, a * seen], below), below].map(luminance).sort((x, y) => y - x);
    const ratio = (light + 0.05) / (dark + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (large ? 3 : 4.5)) bad.push(`${text.slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return bad;
}
