// The page's beginning: who is asking, what is known, then the page of the address.

import { get, post } from "./api.js";
import { fill, h, tips } from "./dom.js";
import { live, on, start, stop } from "./live.js";
import { follow, open } from "./router.js";
import { strips } from "./parts/strips.js";
import { failure } from "./parts/states.js";

const AGAIN = 3000; // ms

const NAV = [
  ["/", "Overview"],
  ["/instruments", "Instruments"],
  ["/accounts", "Accounts"],
  ["/explain", "Explain"],
  ["/runs", "Replays"],
  ["/topics", "Topics"],
];

async function begin() {
  tips();
  follow();
  const main = document.getElementById("main");
  try {
    live.session = await get("/api/session");
  } catch (error) {
    fill(main, failure(error, () => location.reload()));
    return;
  }
  foot();
  if (!live.session.authenticated) {
    if (location.pathname !== "/login" && location.pathname !== "/about") history.replaceState(null, "", `/login?to=${encodeURIComponent(location.pathname + location.search)}`);
    await open();
    return;
  }
  if (location.pathname === "/login") history.replaceState(null, "", "/");
  head();
  addEventListener("signed-out", () => {
    stop();
    location.assign(`/login?to=${encodeURIComponent(location.pathname + location.search)}`);
  });
  await started(main);
  strips();
  await open();
  let due = false;
  on("reset", () => {
    if (due || document.querySelector("dialog[open]")) return;
    due = true;
    setTimeout(() => {
      due = false;
      open();
    }, 200);
  });
}

/** Load what is known; while that can't be had, say why and ask again. */
async function started(main) {
  for (;;) {
    try {
      return await start();
    } catch (error) {
      if (error.status === 401) return new Promise(() => {}); // the page for signing in is on its way
      fill(main, failure(error, () => location.reload()));
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}

function head() {
  fill(
    document.getElementById("nav"),
    NAV.map(([path, name]) => h("a", { href: path, "data-under": path }, name)),
  );
  const leave = h("button.small.quiet", { type: "button", "data-tip": "End this browser's session", onclick: signOut }, "Sign out");
  fill(document.getElementById("tools"), themes(), leave);
}

async function signOut() {
  stop();
  await post("/logout").catch(() => null);
  location.assign("/login");
}

const THEMES = [
  ["auto", "◐", "Light or dark as the system has it"],
  ["light", "☀", "Light"],
  ["dark", "☾", "Dark"],
];

function themes() {
  const now = () => document.documentElement.dataset.theme ?? "auto";
  const button = h("button.small.quiet.theme", { type: "button" });
  const draw = () => {
    const [name, sign, words] = THEMES.find(([each]) => each === now());
    button.textContent = sign;
    button.dataset.tip = `${words}; press for the next`;
    button.setAttribute("aria-label", `Theme: ${name}`);
  };
  button.addEventListener("click", () => {
    const at = THEMES.findIndex(([each]) => each === now());
    const [next] = THEMES[(at + 1) % THEMES.length];
    if (next === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("theme", next);
    } catch {
      // it holds for this page only
    }
    draw();
    dispatchEvent(new Event("theme"));
  });
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => dispatchEvent(new Event("theme")));
  return button;
}

function foot() {
  const { version, run, prefix, charts } = live.session;
  fill(
    document.getElementById("foot"),
    h("span", null, `Lockstep ${version ?? ""}`, run ? ` · run ${run}` : "", prefix ? ` · topics ${prefix}…` : ""),
    h("span", null, "Times are UTC; point at one for yours."),
    charts ? h("span", null, "Charts by ", h("a", { href: "https://www.tradingview.com/", rel: "noreferrer", target: "_blank" }, "TradingView"), " Lightweight Charts™") : null,
    h("a", { href: "/about" }, "About and definitions"),
  );
}

begin();
