// An address in; its page opened in <main>, with everything of the page before it ended, out.

import { get } from "./api.js";
import { fill, h } from "./dom.js";
import { on } from "./live.js";
import { failure } from "./parts/states.js";

const PAGES = [
  [/^\/$/, "overview"],
  [/^\/instruments(?:\/(.+))?$/, "instrument"],
  [/^\/accounts(?:\/(.+))?$/, "account"],
  [/^\/explain$/, "explain"],
  [/^\/runs(?:\/(.+))?$/, "runs"],
  [/^\/topics(?:\/(.+))?$/, "topics"],
  [/^\/about$/, "about"],
  [/^\/login$/, "login"],
];

/** What a page may use while it is open; leaving it ends all of it. */
class Scope {
  constructor() {
    this.ends = [];
    this.controller = new AbortController();
    this.signal = this.controller.signal;
    this.closed = false;
  }

  /** Call a function with every piece of news of a kind. */
  on(kind, listener) {
    this.ends.push(on(kind, listener));
  }

  /** Call a function every so many milliseconds. */
  every(milliseconds, task) {
    const timer = setInterval(task, milliseconds);
    this.ends.push(() => clearInterval(timer));
  }

  /** Do something when the page is left. */
  end(task) {
    this.ends.push(task);
  }

  /** Ask for JSON; the question is given up when the page is left. */
  get(path, parameters) {
    return get(path, parameters, this.signal);
  }

  /** Fill an element by an asynchronous function; what fails is said there, with a way to retry. */
  async into(element, make) {
    try {
      const made = await make();
      if (!this.closed && made !== undefined) fill(element, made);
    } catch (error) {
      if (this.closed || error.name === "AbortError") return;
      fill(element, failure(error, () => this.into(element, make)));
    }
  }

  close() {
    this.closed = true;
    this.controller.abort();
    for (const end of this.ends.splice(0)) end();
  }
}

let scope = null;
let before = null;

/** Go to an address of ours. */
export function go(address, { replace = false } = {}) {
  history[replace ? "replaceState" : "pushState"](null, "", address);
  return open();
}

/** Write a filter or the like into the address without opening anything. */
export function note(parameters) {
  const url = new URL(location.href);
  for (const [name, value] of Object.entries(parameters)) {
    if (value === null || value === undefined || value === "") url.searchParams.delete(name);
    else url.searchParams.set(name, value);
  }
  history.replaceState(null, "", url.pathname + url.search);
}

/** Open the page of the address. */
export async function open() {
  const place = document.getElementById("main");
  scope?.close();
  const own = (scope = new Scope());
  const [name, key] = find(decodeURI(location.pathname));
  document.body.dataset.page = name ?? "missing";
  mark();
  if (!name) {
    fill(place, h("h1", null, "There is no such page"), h("p", null, h("a", { href: "/" }, "Go to the overview")));
    return;
  }
  try {
    const page = await import(`./pages/${name}.js`);
    if (own.closed) return;
    fill(place);
    document.title = `${page.title(key)} · Lockstep`;
    await page.open(place, own, key, new URLSearchParams(location.search));
  } catch (error) {
    if (own.closed || error.name === "AbortError") return;
    fill(place, failure(error, () => open()));
  }
  if (before !== null && before !== location.pathname) {
    place.focus({ preventScroll: true });
    scrollTo(0, 0);
  }
  before = location.pathname;
}

function find(path) {
  for (const [pattern, name] of PAGES) {
    const found = pattern.exec(path);
    if (found) return [name, found[1] ?? null];
  }
  return [null, null];
}

function mark() {
  for (const link of document.querySelectorAll("#nav a")) {
    const own = link.dataset.under;
    const here = own === "/" ? location.pathname === "/" : location.pathname.startsWith(own);
    if (here) {
      link.setAttribute("aria-current", "page");
      link.scrollIntoView({ block: "nearest", inline: "center" });
    } else link.removeAttribute("aria-current");
  }
}

/** Follow links of ours without loading a page, and the browser's back and forward. */
export function follow() {
  addEventListener("popstate", () => open());
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a[href]");
    if (!link || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    if (link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.hash && link.pathname === location.pathname && link.search === location.search) return;
    event.preventDefault();
    go(link.pathname + link.search);
  });
}
