// The query picture with the people on it: choose a box by click or key, or draw one by mouse, finger or keys.
import { el, say } from "./dom.js";
import { t } from "./words.js";

const DRAG = 6; // pixels of the screen before a press becomes a box
const LEAST = 8; // pixels of the picture, as the server asks

/**
 * Show a picture in `root`; `changed(box)` is called with {x, y, width, height}, or null for the whole picture.
 */
export function createStage(root, changed) {
  let picture = null; // {width, height, url}
  let boxes = []; // {x, y, width, height, score?, drawn?}
  let chosen = -1;
  let drawing = false;
  let surface = null;

  function show(next) {
    picture = next;
    boxes = [];
    chosen = -1;
    const image = el("img", { src: next.url, alt: t("stage.picture"), draggable: "false" });
    surface = el("div", { class: "surface", pointerdown: press }, image);
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
    node.style.left = `${(100 * box.x) / picture.width}%`;
    node.style.top = `${(100 * box.y) / picture.height}%`;
    node.style.width = `${(100 * box.width) / picture.width}%`;
    node.style.height = `${(100 * box.height) / picture.height}%`;
  }

  function keep(box) {
    boxes = [...boxes.filter((other) => !other.drawn), { ...box, drawn: true }];
    choose(boxes.length - 1);
  }

  function clamp(box) {
    const width = Math.round(Math.min(Math.max(box.width, LEAST), picture.width));
    const height = Math.round(Math.min(Math.max(box.height, LEAST), picture.height));
    const x = Math.round(Math.min(Math.max(box.x, 0), picture.width - width));
    const y = Math.round(Math.min(Math.max(box.y, 0), picture.height - height));
    return { x, y, width, height };
  }

  function nudge(event, index) {
    const box = boxes[index];
    const direction = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!box.drawn || !direction) return;
    event.preventDefault();
    const step = Math.max(1, Math.round(Math.max(picture.width, picture.height) / 100));
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
      if (sketch.box.width >= LEAST && sketch.box.height >= LEAST) keep(clamp(sketch.box));
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
      x: inside(((event.clientX - area.left) / area.width) * picture.width, picture.width),
      y: inside(((event.clientY - area.top) / area.height) * picture.height, picture.height),
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
      keep(clamp({ x: picture.width * 0.4, y: picture.height * 0.2, width: picture.width * 0.2, height: picture.height * 0.6 }));
      choose(boxes.length - 1, true);
    },
    get picture() {
      return picture;
    },
  };
}

/** Cut a box out of a picture; return an address of the cut. */
export async function cut(picture, box) {
  const image = new Image();
  image.src = picture.url;
  await image.decode();
  // What the browser shows and what the server measured are the same picture at, perhaps, another scale.
  const scale = image.naturalWidth / picture.width;
  const { x, y, width, height } = box ?? { x: 0, y: 0, width: picture.width, height: picture.height };
  const canvas = el("canvas");
  const shrink = Math.min(1, 240 / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * shrink));
  canvas.height = Math.max(1, Math.round(height * shrink));
  canvas.getContext("2d").drawImage(image, x * scale, y * scale, width * scale, height * scale, 0, 0, canvas.width, canvas.height);
  return new Promise((done) => { canvas.toBlob((blob) => done(URL.createObjectURL(blob)), "image/jpeg", 0.85); });
}
