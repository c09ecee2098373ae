// The overview and one stream of events in; what is known now, and news of what changed, out.
//
// What is kept is bounded: the newest state of each account and instrument, a few risk events.

import { address, get } from "./api.js";
import { fold, riskEvent } from "./fold.js";

const KEPT_EVENTS = 50;
const FIRST_WAIT = 1000;
const LONGEST_WAIT = 15_000;
const HIDDEN = 60_000; // after so long out of sight a tab gives up its connection: a browser has six a host
const SILENCE = 20_000; // the server's state comes every 2 s: longer without anything is no connection

/** What is known. `connection` is connecting, live, lost or paused; `skew` is the server's clock less ours. */
export const live = {
  session: null,
  accounts: new Map(),
  prices: new Map(),
  status: null,
  proof: null,
  problem: null,
  events: [],
  commands: [],
  connection: "connecting",
  skew: 0,
  received: 0,
};

const listeners = new Map();

/** Call a function with every piece of news of a kind; the function returned ends that. */
export function on(kind, listener) {
  if (!listeners.has(kind)) listeners.set(kind, new Set());
  listeners.get(kind).add(listener);
  return () => listeners.get(kind).delete(listener);
}

function tell(kind, news) {
  for (const listener of [...(listeners.get(kind) ?? [])]) listener(news);
}

/** The server's clock now, in milliseconds. */
export const now = () => Date.now() + live.skew;

let source = null;
let last = null;
let wait = FIRST_WAIT;
let timer = 0;

/** Load what is known and follow what comes. */
export async function start() {
  await load();
  if (document.hidden) pause();
  else connect(last);
  sight();
  setInterval(() => {
    if (source && live.connection === "live" && Date.now() - live.received > SILENCE) {
      connection("lost");
      connect(last);
    }
  }, SILENCE / 4);
}

/** Follow while somebody can look; resuming misses nothing. */
function sight() {
  let timer = 0;
  const tabs = new BroadcastChannel("tabs");
  tabs.onmessage = () => document.hidden && pause();
  tabs.postMessage("opened");
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(pause, HIDDEN);
    else if (live.connection === "paused") connect(last);
  });
}

function pause() {
  clearTimeout(timer);
  source?.close();
  source = null;
  connection("paused");
}

/** Load the overview anew, as after a hole. */
export async function load() {
  const found = await get("/api/overview");
  live.skew = found.now - Date.now();
  live.accounts = new Map(found.accounts.map((each) => [each.account, each]));
  live.events = found.risk_events;
  live.commands = found.commands;
  live.proof = found.proof;
  live.problem = found.problem ?? null;
  take(found.status);
  last = found.cursor;
  tell("account", null);
  tell("risk", null);
  tell("proof", null);
}

function take(status) {
  const away = live.problem || live.status?.health.database.well === false;
  live.status = status;
  if (away && source && status?.health.database.well) refresh();
  for (const feed of status?.feeds ?? []) {
    if (!live.prices.has(feed.instrument)) live.prices.set(feed.instrument, { ...feed, forming: null, gaps: [] });
  }
  tell("status", status);
}

/** The database is back: what could not be told before is asked for again. */
async function refresh() {
  const place = last;
  try {
    await load();
  } catch {
    return;
  }
  last = place; // the stream goes on where it is
  tell("reset", null);
}

function connect(from) {
  clearTimeout(timer);
  source?.close();
  source = new EventSource(address("/api/events", { from }));
  const listen = (name, handle) => {
    source.addEventListener(name, (event) => {
      if (event.lastEventId) last = event.lastEventId;
      live.received = Date.now();
      handle(JSON.parse(event.data));
    });
  };
  listen("hello", hello);
  listen("records", records);
  listen("prices", (data) => prices(data.prices));
  listen("status", (data) => {
    live.skew = data.now - Date.now();
    take(data);
  });
  listen("reset", reset);
  source.onerror = failed;
}

function hello(data) {
  wait = FIRST_WAIT;
  live.skew = data.now - Date.now();
  prices(data.prices);
  connection("live");
}

function prices(changed) {
  for (const price of changed) live.prices.set(price.instrument, price);
  tell("prices", changed);
}

function records(data) {
  const touched = new Set();
  for (const item of data.records) {
    const account = live.accounts.get(item.record.account);
    if (account && fold(account, item)) touched.add(account.account);
    if (item.record.type === "command") live.commands = [item.record, ...live.commands].slice(0, KEPT_EVENTS);
    const event = riskEvent(item);
    if (event) keep(event);
    tell(item.record.type, item);
  }
  if (touched.size) tell("account", touched);
}

function keep(event) {
  if (live.events.some((each) => each.id === event.id)) return;
  live.events = [event, ...live.events].slice(0, KEPT_EVENTS);
  tell("risk", event);
}

/** The place asked for is gone: what stands in the tables is loaded, and followed from there. */
async function reset() {
  source.close();
  connection("lost");
  try {
    await load();
    connect(last);
    tell("reset", null);
  } catch {
    again(null);
  }
}

function failed() {
  connection("lost");
  if (source.readyState === EventSource.CLOSED) again(last);
}

/** The browser gave up (an answer other than 200): ask again, ever less often. */
function again(from) {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    try {
      const session = await get("/api/session");
      if (!session.authenticated) {
        dispatchEvent(new Event("signed-out")); // the server began anew and knows no session
        return;
      }
      if (from === null) {
        await load();
        tell("reset", null);
      }
      connect(last);
    } catch {
      again(from);
    }
  }, wait);
  wait = Math.min(LONGEST_WAIT, wait * 2);
}

function connection(state) {
  if (live.connection === state) return;
  live.connection = state;
  tell("connection", state);
}

/** Stop following. */
export function stop() {
  clearTimeout(timer);
  source?.close();
  source = null;
}
