// The query image with the people on it: choose a box by click or key, or draw one by mouse, finger or keys.
import { el, say } from "./dom.js";
import { t } from "./words.js";

const DRAG = 6; // pixels of the screen before a press becomes a box
const MIN_SIDE = 8; // pixels of the image, as the server asks

/**
 * Show an image in `root`; `changed(box)` is called with {x, y, width, height}, or null for the whole image.
 */
export function createStage(root, changed) {
  let image = null; // {width, height, url}
  let boxes = []; // {x, y, width, height, score?, drawn?}
  let chosen = -1;
  let drawing = false;
  let surface = null;

  function show(next) {
    image = next;
    boxes = [];
    chosen = -1;
    const shown = el("img", { src: next.url, alt: t("stage.image"), draggable: "false" });
    surface = el("div", { class: "surface", pointerdown: press }, shown);
    root.replaceChildren(surface);
    root.hidden = false;
  }

  function offer(people) {
    boxes = people.map((person) => ({ ...person }));
    paint();
  }

  function choose(index, focus = false) {
    chosen = index;
    paint();
    if (focus && index >= 0) surface.querySelectorAll("button.box")[index].focus();
    const box = boxes[index];
    changed(box ? { x: box.x, y: box.y, width: box.width, height: box.height } : null);
  }

  function paint() {
    const had = [...surface.querySelectorAll("button.box")].indexOf(document.activeElement);
    surface.querySelectorAll("button.box").forEach((old) => old.remove());
    boxes.forEach((box, index) => {
      const name = box.drawn ? t("stage.drawn") : t("stage.person", { n: index + 1, sure: Math.round(100 * box.score) });
      const button = el(
        "button",
        {
          type: "button", class: box.drawn ? "box drawn" : "box", "aria-pressed": String(index === chosen),
          "aria-label": box.drawn ? t("stage.keys", { name }) : name,
          click: () => choose(index), keydown: (event) => nudge(event, index),
        },
        el("span", { "aria-hidden": "true" }, box.drawn ? "box" : String(index + 1)),
      );
      lay(button, box);
      surface.append(button);
    });
    if (had >= 0) surface.querySelectorAll("button.box")[had]?.focus();
  }

  function lay(node, box) {
    node.style.left = `${(100 * box.x) / image.width}%`;
    node.style.top = `${(100 * box.y) / image.height}%`;
    node.style.width = `${(100 * box.width) / image.width}%`;
    node.style.height = `${(100 * box.height) / image.height}%`;
  }

  function keep(box) {
    boxes = [...boxes.filter((other) => !other.drawn), { ...box, drawn: true }];
    choose(boxes.length - 1);
  }

  function clamp(box) {
    const width = Math.round(Math.min(Math.max(box.width, MIN_SIDE), image.width));
    const height = Math.round(Math.min(Math.max(box.height, MIN_SIDE), image.height));
    const x = Math.round(Math.min(Math.max(box.x, 0), image.width - width));
    const y = Math.round(Math.min(Math.max(box.y, 0), image.height - height));
    return { x, y, width, height };
  }

  function nudge(event, index) {
    const box = boxes[index];
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!box.drawn || !direction) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(image.width, image.height) / 100));
    const [dx, dy] = direction.map((d) => d * step);
    const next = event.shiftKey
      ? { ...box, width: box.width + dx, height: box.height + dy }
      : { ...box, x: box.x + dx, y: box.y + dy };
    boxes[index] = { ...clamp(next), drawn: true };
    choose(index, true);
    say(t("stage.at", boxes[index]));
  }

  function press(event) {
    if (event.button !== 0 || (event.pointerType === "touch" && !drawing)) return;
    const from = point(event);
    const [startX, startY] = [event.clientX, event.clientY];
    let sketch = null;
    const move = (next) => {
      if (!sketch && Math.hypot(next.clientX - startX, next.clientY - startY) < DRAG) return;
      if (!sketch) {
        sketch = el("div", { class: "box sketch" });
        surface.append(sketch);
      }
      const to = point(next);
      sketch.box = { x: Math.min(from.x, to.x), y: Math.min(from.y, to.y), width: Math.abs(to.x - from.x), height: Math.abs(to.y - from.y) };
      lay(sketch, sketch.box);
    };
    const stop = (next) => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", stop);
      removeEventListener("pointercancel", stop);
      if (!sketch) return;
      sketch.remove();
      if (next.type === "pointercancel") return;
      // The press may have begun on a box: its click must not undo the drawing.
      addEventListener("click", (click) => { click.stopPropagation(); click.preventDefault(); }, { capture: true, once: true });
      setTimeout(() => document.body.dispatchEvent(new MouseEvent("click")), 0);
      if (sketch.box.width >= MIN_SIDE && sketch.box.height >= MIN_SIDE) keep(clamp(sketch.box));
      else say(t("stage.small"));
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", stop);
    addEventListener("pointercancel", stop);
  }

  function point(event) {
    const area = surface.getBoundingClientRect();
    const inside = (value, most) => Math.min(Math.max(value, 0), most);
    return {
      x: inside(((event.clientX - area.left) / area.width) * image.width, image.width),
      y: inside(((event.clientY - area.top) / area.height) * image.height, image.height),
    };
  }

  return {
    show,
    offer,
    choose,
    /** Let a finger draw; a mouse always can. */
    draw(on) {
      drawing = on;
      surface?.classList.toggle("drawing", on);
    },
    /** Put a box in the middle, for the keyboard to move. */
    place() {
      keep(clamp({ x: image.width * 0.4, y: image.height * 0.2, width: image.width * 0.2, height: image.height * 0.6 }));
      choose(boxes.length - 1, true);
    },
    get image() {
      return image;
    },
  };
}

/** Cut a box out of an image; return an address of the cut. */
export async function cut(image, box) {
  const shown = new Image();
  shown.src = image.url;
  await shown.decode();
  // What the browser shows and what the server measured are the same image at, perhaps, another scale.
  const scale = shown.naturalWidth / image.width;
  const { x, y, width, height } = box ?? { x: 0, y: 0, width: image.width, height: image.height };
  const canvas = el("canvas");
  const shrink = Math.min(1, 240 / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * shrink));
  canvas.height = Math.max(1, Math.round(height * shrink));
  canvas.getContext("2d").drawImage(shown, x * scale, y * scale, width * scale, height * scale, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob((blob) => done(URL.createObjectURL(blob)), "image/jpeg", 0.85); });
}
