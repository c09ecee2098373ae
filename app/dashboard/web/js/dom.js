// Names, attributes and children in; elements out. Text is never parsed as markup.

/**
 * Make an element.
 * @param {string} name of the element, with classes after dots: "p.note"
 * @param {object} [attributes] by name; on… is a listener, null and false leave it out, true sets it
 * @param {...any} children nodes, texts, lists of them; null and false are left out
 */
export function h(name, attributes, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) set(element, key, value);
  append(element, children);
  return element;
}

function set(element, key, value) {
  if (value === null || value === undefined || (value === false && !key.startsWith("aria-"))) return;
  if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
  else if (key === "class") element.className = `${element.className} ${value}`.trim();
  else if (value === true && !key.startsWith("aria-")) element.setAttribute(key, "");
  else element.setAttribute(key, value);
}

export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Replace what an element holds. */
export function fill(element, ...children) {
  const made = document.createDocumentFragment();
  append(made, children);
  element.replaceChildren(made);
  return element;
}

/**
 * Make an element hold children by changing only what differs, so that focus, hints and selection
 * last. For what has no listeners of its own: they would not come along.
 */
export function update(element, ...children) {
  const made = h("div");
  append(made, children);
  same(element, made);
  return element;
}

function same(element, wanted) {
  const [have, want] = [[...element.childNodes], [...wanted.childNodes]];
  want.forEach((child, at) => {
    const own = have[at];
    if (!own) element.append(child);
    else if (own.nodeName !== child.nodeName) own.replaceWith(child);
    else if (own.nodeType === Node.TEXT_NODE) {
      if (own.data !== child.data) own.data = child.data;
    } else alike(own, child);
  });
  for (const rest of have.slice(want.length)) rest.remove();
}

function alike(own, wanted) {
  for (const { name, value } of [...wanted.attributes]) {
    if (own.getAttribute(name) === value) continue;
    if (name === "style") own.style.cssText = value; // as an attribute the page's policy forbids it
    else own.setAttribute(name, value);
  }
  for (const { name } of [...own.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "aria-describedby") own.removeAttribute(name);
  }
  same(own, wanted);
}

const SVG = "http://www.w3.org/2000/svg";

/** Make an SVG element. */
export function s(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined) element.setAttribute(key, value);
  }
  append(element, children);
  return element;
}

const frames = new Set();
let requested = 0;

/** Run a function once before the next frame, however often it is asked for until then. */
export function soon(task) {
  frames.add(task);
  requested ||= requestAnimationFrame(() => {
    requested = 0;
    const due = [...frames];
    frames.clear();
    for (const each of due) each();
  });
}

/** Say something to who can't see the page change. */
export function say(text) {
  const place = document.getElementById("said");
  place.textContent = "";
  soon(() => {
    place.textContent = text;
  });
}

/** Read a value of the style sheet, which is the theme's at this moment. */
export function shade(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

let tipped = null;

/** Show `data-tip` of what is hovered or focused, in one box for the whole page. */
export function tips() {
  const box = h("div.tip", { role: "tooltip", id: "tip", hidden: true });
  document.body.append(box);
  const show = (event) => {
    const owner = event.target.closest?.("[data-tip]");
    if (owner === tipped) return;
    hide();
    if (!owner) return;
    tipped = owner;
    box.textContent = owner.dataset.tip;
    box.hidden = false;
    owner.setAttribute("aria-describedby", "tip");
    place(owner, box);
  };
  const hide = () => {
    tipped?.removeAttribute("aria-describedby");
    tipped = null;
    box.hidden = true;
  };
  addEventListener("mouseover", show);
  addEventListener("focusin", show);
  addEventListener("focusout", hide);
  addEventListener("scroll", hide, true);
  addEventListener("keydown", (event) => event.key === "Escape" && hide());
}

function place(owner, box) {
  const at = owner.getBoundingClientRect();
  const size = box.getBoundingClientRect();
  const left = Math.min(Math.max(8, at.left), innerWidth - size.width - 8);
  const below = at.bottom + size.height + 12 < innerHeight;
  box.style.left = `${Math.max(8, left)}px`;
  box.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - size.height - 6)}px`;
}
